variable "n" {
  type = number
  default = "x"
}
target "a" {}
