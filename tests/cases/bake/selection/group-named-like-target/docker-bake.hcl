group "a" { targets = ["a", "b"] }
target "a" {}
target "b" {}
