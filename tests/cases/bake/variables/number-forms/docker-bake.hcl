variable "n" { default = 0 }
target "a" { args = { n = n, m = n + 0.2 } }
