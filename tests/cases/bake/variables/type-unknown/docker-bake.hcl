variable "v" { type = strin }
target "a" {}
