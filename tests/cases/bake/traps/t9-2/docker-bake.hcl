group "default" { targets = ["c", "b"] }
group "g" { targets = ["c", "a"] }
target "a" {}
target "b" {}
target "c" {}
