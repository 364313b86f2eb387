function "upper" {
  params = [a]
  result = "mine"
}
target "a" { args = { x = upper("a") } }
