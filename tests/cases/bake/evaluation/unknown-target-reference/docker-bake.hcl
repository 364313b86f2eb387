target "a" { args = { x = target.nope.tags } }
