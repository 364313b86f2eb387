group "g" { targets = ["a"] }
group "h" { targets = group.g.targets }
target "a" { args = { x = join(",", group.g.targets), n = group.g.name } }
