target "a" { context = "web" }
target "b" { contexts = { m = "./mod" } }
target "c" { inherits = ["b"] }
