target "a" { args = { x = convert("1", number), y = convert("2", number) } }
