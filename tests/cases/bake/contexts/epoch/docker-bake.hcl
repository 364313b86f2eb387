target "a" { contexts = { b = "target:b" } }
target "b" { args = { SOURCE_DATE_EPOCH = "5" } }
