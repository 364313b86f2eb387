x = 1
x = 2
target "a" {}
