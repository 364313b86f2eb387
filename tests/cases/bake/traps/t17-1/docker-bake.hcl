x = "attr"
target "a" { args = { x = x } }
