target "base" { output = ["type=docker"] }
target "app" { contexts = { b = "target:base" } }
