variable "v" {
  validation {
    condition = null
  }
}
target "a" {}
