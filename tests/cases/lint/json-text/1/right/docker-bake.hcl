target "default" { dockerfile-inline = "FROM scratch" }
variable "v" {
  type = list(string)
}
target "default" { labels = { v = v[0] } }
