variable "n" { type = number }
n = 5
target "a" { args = { n = n } }
