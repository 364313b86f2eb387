target "a" { inherits = ["nope"] }
