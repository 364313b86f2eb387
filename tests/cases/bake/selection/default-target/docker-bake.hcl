target "default" {}
target "a" {}
