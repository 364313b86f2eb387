group = 1
target "a" {}
