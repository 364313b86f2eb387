target "base" { args = { v = "base" } }
target "l" {
  inherits = ["base"]
  args = { v = "l" }
}
target "r" { inherits = ["base"] }
target "x" { inherits = ["l", "r"] }
