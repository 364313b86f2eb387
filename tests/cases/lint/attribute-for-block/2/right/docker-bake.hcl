target "default" { dockerfile-inline = "FROM scratch" }
variable "v" {
  validation {
    condition = true
  }
}
target "default" { labels = { v = v } }
