variable "X" { default = "9" }
target "web" {
  args = { W = X }
}
