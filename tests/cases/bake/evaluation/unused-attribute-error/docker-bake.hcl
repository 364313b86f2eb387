x = nope
target "a" {}
