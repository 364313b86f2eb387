target "web" {
  inherits = ["base"]
  args = { A = "2", B = null }
  cache-from = ["d"]
}
target "base" { contexts = { x = "y" } }
