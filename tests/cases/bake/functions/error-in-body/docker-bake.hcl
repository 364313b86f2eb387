function "f" {
  params = [a]
  result = a / 0
}
target "a" { args = { x = f("q") } }
