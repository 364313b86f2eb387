variable "v" {}
g = 2
target "default" { labels = { v = v, g = g } }
