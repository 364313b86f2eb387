variable "s" {
  type = string
  default = "a\"b"
  description = "text & more"
}
variable "u" { default = 1.50 }
variable "l" { default = ["x", 1, true] }
variable "tl" {
  type = list(number)
  default = [1, 2]
}
variable "nn" { type = map(bool) }
variable "o" {
  type = object({ a = string, b = optional(number) })
  default = { a = "x" }
}
variable "a_rather_long_variable_name" {}
variable "any" { type = any }
target "_private" {}
target "b" {
  description = "the b"
  inherits = ["_private"]
}
target "m" {
  name = "m-${x}"
  matrix = { x = ["2", "1"] }
  description = "m ${x}"
}
target "with-a-longer-name" {}
group "g" {
  description = "gd"
  targets = ["m", "b"]
}
group "h" { targets = ["b"] }
group "_hidden" { targets = [] }
group "empty" { targets = [] }
