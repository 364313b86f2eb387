function "f" {
  params = [m]
  result = m == null ? "n" : "y"
}
target "a" { args = { x = f(null) } }
