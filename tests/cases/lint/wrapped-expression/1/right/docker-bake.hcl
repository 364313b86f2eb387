target "default" { dockerfile-inline = "FROM scratch" }
v = "x"
target "default" { labels = { v = "a${v}", w = v, x = "%{ if v == "x" }y%{ endif }" } }
