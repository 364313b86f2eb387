target "default" { dockerfile-inline = "FROM scratch" }
target "default" { labels = { v = 1 } }
target "default" { labels = { w = 1 } }
