target "a" { tags = ["1"] }
target "a" { args = { x = 1 } }
target "b" { args = { t = jsonencode(target.a.tags), x = target.a.args.x } }
