variable "v" { type = "string" }
target "a" {}
