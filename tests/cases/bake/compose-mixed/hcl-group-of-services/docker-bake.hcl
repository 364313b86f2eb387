group "g" { targets = ["a_x", "b"] }
