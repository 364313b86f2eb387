variable "v" {
  validation {
    condition = false
    error_message = "one"
  }
  validation {
    condition = false
    error_message = "two"
  }
}
target "a" {}
