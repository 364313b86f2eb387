variable "v" {
  default = "x"
  validation {
    condition = v != "bad"
    error_message = "v must not be ${v}"
  }
  validation {
    condition = length(w) > 0
    error_message = "w is empty"
  }
}
variable "w" { default = ["q"] }
target "a" { args = { v = v } }
