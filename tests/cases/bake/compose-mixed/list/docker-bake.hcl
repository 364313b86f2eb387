group "default" {
  description = "of HCL"
  targets = ["b"]
}
target "b" { description = "bee" }
variable "V" { default = 1 }
