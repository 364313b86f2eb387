target "a" { tags = [] args = {} }
