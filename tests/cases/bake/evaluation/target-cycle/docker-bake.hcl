target "a" { args = { x = target.b.args.y } }
target "b" { args = { y = target.a.args.x } }
