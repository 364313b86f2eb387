variable "v" { description = upper("x") }
target "a" {}
