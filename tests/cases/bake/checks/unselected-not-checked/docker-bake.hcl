target "a" {}
target "b" { platforms = ["foo"] }
