target "a" {
  tags = ["hcl"]
  args = { B = 2 }
}
target "b" { inherits = ["a"] }
