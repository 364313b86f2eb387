target "a" { args = { x = target["a"] } }
