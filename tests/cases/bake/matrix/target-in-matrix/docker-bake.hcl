target "a" { tags = ["t"] }
target "m" {
  name = "m"
  matrix = { x = target.a.tags }
}
