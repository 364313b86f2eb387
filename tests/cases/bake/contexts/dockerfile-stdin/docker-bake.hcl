target "a" { dockerfile = "-" }
