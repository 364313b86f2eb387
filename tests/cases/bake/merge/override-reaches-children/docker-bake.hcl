target "a" { inherits = ["b"] }
target "b" { args = { x = "b" } }
