function "f" {
  params = [a]
  result = a
}
target "a" { args = { x = f(1, 2) } }
