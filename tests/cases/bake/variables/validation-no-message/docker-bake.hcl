variable "v" {
  validation {
    condition = "false"
  }
}
target "a" {}
