target "default" { dockerfile-inline = "FROM scratch" }
variable "x" {
  type = number
  default = 1
}
y = "a"
target "default" { labels = { x = x, y = y } }
