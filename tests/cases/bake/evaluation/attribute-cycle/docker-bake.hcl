x = y
y = x
target "a" { args = { q = x } }
