target "default" { dockerfile-inline = "FROM scratch" }
variable "v" { default = "" }
target "default" { labels = { v = v } }
