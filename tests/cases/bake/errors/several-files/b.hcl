target "b" { tags = "x" }
