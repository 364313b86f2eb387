target "a" { tags = ["y"] }
