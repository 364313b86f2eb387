target "default" { dockerfile-inline = "FROM scratch" }
v = "x"
target "default" { labels = { v = "${v}" } }
