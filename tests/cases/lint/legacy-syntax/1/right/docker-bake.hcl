target "default" { dockerfile-inline = "FROM scratch" }
g = [["a"]]
target "default" { labels = { a = g[0][0], b = join("", g[0][*]) } }
