variable "v" {
  type = number
  default = 1
}
target "a" { args = { v = v } }
