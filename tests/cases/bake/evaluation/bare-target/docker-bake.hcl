target "a" { args = { x = target } }
