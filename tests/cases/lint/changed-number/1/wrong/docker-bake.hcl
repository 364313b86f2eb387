target "default" { dockerfile-inline = "FROM scratch" }
variable "v" { default = 1.2 }
target "default" { labels = { v = v } }
