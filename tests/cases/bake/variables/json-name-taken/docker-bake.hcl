variable "v" { type = string }
variable "v_JSON" {}
target "a" { args = { v = v, j = v_JSON } }
