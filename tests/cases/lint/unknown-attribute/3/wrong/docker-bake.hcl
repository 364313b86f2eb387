target "default" { dockerfile-inline = "FROM scratch" }
variable "v" { defalt = 1 }
g = v
group "x" {
  targets = []
  description = g
}
