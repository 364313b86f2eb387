variable "a" "b" { default = 1 }
target "a" {}
