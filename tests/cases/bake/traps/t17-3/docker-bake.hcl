x = "attr"
variable "x" { default = "var" }
target "a" { args = { x = x } }
