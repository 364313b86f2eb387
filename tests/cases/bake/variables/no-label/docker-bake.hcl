variable { default = 1 }
target "a" {}
