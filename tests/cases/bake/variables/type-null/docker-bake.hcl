variable "v" {
  type = null
}
target "a" { args = { v = "[${v}]" } }
