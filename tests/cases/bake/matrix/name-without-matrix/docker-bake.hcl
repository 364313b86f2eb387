target "m" {
  name = "x"
}
