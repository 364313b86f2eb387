target "a" { tags = ["t"] }
