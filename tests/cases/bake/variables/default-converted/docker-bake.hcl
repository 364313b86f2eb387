variable "s" {
  type = string
  default = 1
}
variable "o" {
  type = object({a = string})
  default = { a = 1, extra = 2 }
}
target "a" { args = { s = s, o = jsonencode(o) } }
