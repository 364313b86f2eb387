variable "u" {}
variable "t" { type = string }
target "a" { args = { u = u, t = t } }
