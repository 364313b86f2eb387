target "default" { dockerfile-inline = "FROM scratch" }
target "a" { dockerfile-inline = "FROM scratch" }
target "b" { dockerfile-inline = "FROM scratch" }
target "c" { dockerfile-inline = "FROM scratch" }
target "_d" { tags = ["x"] }
target "_hidden" {}
target "told" {
  description = "by hand"
  dockerfile-inline = "FROM scratch"
}
group "g" { targets = ["a"] }
target "default" {
  inherits = ["b"]
  contexts = { c = "target:c" }
  labels = { d = target._d.tags[0] }
}
