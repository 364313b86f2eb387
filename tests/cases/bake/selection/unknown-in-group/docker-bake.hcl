group "g" { targets = ["nope"] }
