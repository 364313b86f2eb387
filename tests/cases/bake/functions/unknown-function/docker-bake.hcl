target "a" { args = { x = nope(1) } }
