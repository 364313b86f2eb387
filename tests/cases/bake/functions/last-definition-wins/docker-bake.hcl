function "f" {
  params = []
  result = "1"
}
function "f" {
  params = []
  result = "2"
}
target "a" { args = { x = f() } }
