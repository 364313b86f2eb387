variable "xs" { default = ["1", "2"] }
function "f" {
  params = [a]
  result = [for v in a : "v${v}"]
}
target "m" {
  name = "m-${x}"
  matrix = { x = f(xs) }
}
