variable "n" { default = 0 }
target "a" { args = { n = n + 0.2 } }
