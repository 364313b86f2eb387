variable "v" {
  validation {
    condition = true
    message = "one"
  }
}
target "a" {}
