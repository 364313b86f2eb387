target "a" { args = { x = zz, y = zz } }
