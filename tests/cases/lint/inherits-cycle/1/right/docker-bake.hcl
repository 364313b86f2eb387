target "default" { dockerfile-inline = "FROM scratch" }
target "default" { inherits = ["a", "b"] }
target "a" { inherits = ["b"] }
target "b" {}
