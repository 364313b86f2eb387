x = target.a.tags[0]
target "a" { tags = ["t"] }
target "b" { args = { x = x } }
