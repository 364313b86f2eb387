target "a" { context = "-" }
