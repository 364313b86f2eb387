variable "v" { default = null }
target "a" { args = { v = v } }
