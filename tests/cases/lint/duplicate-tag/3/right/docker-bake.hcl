target "default" { dockerfile-inline = "FROM scratch" }
target "image" {
  tags              = ["app"]
  dockerfile-inline = "FROM scratch"
}
target "a" { inherits = ["image"] }
target "b" {
  description = "for this machine"
  inherits    = ["image"]
  output      = ["type=docker"]
}
group "all" { targets = ["a"] }
