target "default" { labels = { v = v, g = g } }
