target "a" { contexts = { b = "target:a" } }
