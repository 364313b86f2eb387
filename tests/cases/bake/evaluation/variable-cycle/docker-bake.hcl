variable "x" { default = y }
variable "y" { default = x }
target "a" {}
