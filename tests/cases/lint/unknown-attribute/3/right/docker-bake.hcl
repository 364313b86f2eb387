target "default" { dockerfile-inline = "FROM scratch" }
variable "v" { default = 1 }
g = v
group "x" {
  targets = []
  description = g
}
