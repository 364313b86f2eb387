variable "v" {
  validation {
    condition = 1
  }
}
target "a" {}
