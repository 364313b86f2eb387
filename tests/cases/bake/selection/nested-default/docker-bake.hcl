group "default" { targets = ["c"] }
group "g" { targets = ["default", "a"] }
target "a" {}
target "c" {}
