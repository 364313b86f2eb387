target "default" { dockerfile-inline = "FROM scratch" }
variable "x" {
  type = number
  default = 1
}
x = "a"
target "default" { labels = { x = x } }
