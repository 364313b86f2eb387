v = "1"
target "a" { args = { x = v } }