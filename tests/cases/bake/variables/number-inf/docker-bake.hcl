variable "n" { default = 0 }
target "a" { args = { n = n } }
