function "f" {
  params = [a]
  result = f(a)
}
target "a" { args = { x = f(1) } }
