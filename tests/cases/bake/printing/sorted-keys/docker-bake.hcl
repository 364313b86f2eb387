target "b" { args = { B = 1, a = 2, "é" = 3, Z = 4, _ = 5 } }
target "B" {}
target "_x" {}
