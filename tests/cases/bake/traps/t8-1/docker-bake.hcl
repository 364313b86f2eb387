target "a" { tags = ["hcl"] }
