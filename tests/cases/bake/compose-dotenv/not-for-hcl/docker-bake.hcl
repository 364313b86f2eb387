variable "A" { default = "d" }
target "default" { args = { A = A } }
