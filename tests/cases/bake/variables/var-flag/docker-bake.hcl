variable "v" { default = "d" }
variable "w" { default = "d" }
target "a" { args = { v = v, w = w } }
