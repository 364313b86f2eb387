target "a" { secret = [{ type = "env", id = "x", src = "E" }] }
