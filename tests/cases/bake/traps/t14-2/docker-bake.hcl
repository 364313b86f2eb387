variable "b" { default = true }
variable "n" { default = 1 }
variable "s" { default = "x" }
target "a" { args = { b = b, n = n, s = s } }
