v = null
target "a" { args = { x = v.y } }
