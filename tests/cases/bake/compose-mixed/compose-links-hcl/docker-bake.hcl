target "base" { context = "base" }
