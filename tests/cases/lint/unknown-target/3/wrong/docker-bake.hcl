target "default" { dockerfile-inline = "FROM scratch" }
target "a" {
  description = "d"
  contexts = { x = "target:g" }
}
group "g" { targets = [] }
