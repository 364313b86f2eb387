group "g" { targets = ["a"] }
group "g" { targets = ["b"] }
target "a" { args = { x = 1 } }
target "b" { args = { x = 1 } }
target "b" { args = { y = 2 } }
