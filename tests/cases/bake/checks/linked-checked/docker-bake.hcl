target "a" { contexts = { b = "target:b" } }
target "b" { platforms = ["foo"] }
