target "default" { dockerfile-inline = "FROM scratch" }
variable "v" {}
variable "w" { default = v }
target "default" { labels = { w = "${w}" } }
