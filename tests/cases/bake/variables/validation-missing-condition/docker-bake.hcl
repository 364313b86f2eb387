variable "v" {
  validation {
    error_message = "m"
  }
}
target "a" {}
