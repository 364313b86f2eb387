target "a" { contexts = { b = "target:b" } }
target "b" { output = ["type=docker"] }
