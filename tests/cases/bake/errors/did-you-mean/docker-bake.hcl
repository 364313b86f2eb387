variable "version" {}
target "a" { args = { x = verson } }
