target "b" { tags = target.a.tags }
