target "default" { dockerfile-inline = "FROM scratch" }
variable "v" { default = 1 }
variable "v" {}
target "default" { labels = { v = v } }
