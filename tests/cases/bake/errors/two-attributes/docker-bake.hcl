target "a" {
  context = zz
}
target "b" {
  pull = yy
}
