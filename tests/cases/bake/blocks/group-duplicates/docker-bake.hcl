group "g" { targets = ["b", "a", "b"] }
target "a" {}
target "b" {}
