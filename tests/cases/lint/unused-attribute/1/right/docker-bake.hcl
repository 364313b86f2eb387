target "default" { dockerfile-inline = "FROM scratch" }
name = "x"
target "default" { labels = { n = name } }
