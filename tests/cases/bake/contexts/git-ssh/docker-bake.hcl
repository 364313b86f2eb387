target "a" { context = "git@github.com:a/b" }
