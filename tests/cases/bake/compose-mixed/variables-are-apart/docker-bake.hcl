variable "TAG" { default = "hcl" }
target "a" { args = { T = TAG } }
