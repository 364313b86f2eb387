target "default" { dockerfile-inline = "FROM scratch" }
target "a" {
  description       = "d"
  dockerfile-inline = "FROM scratch"
  contexts          = { b = "target:b" }
}
target "b" {
  description       = "d"
  dockerfile-inline = "FROM scratch"
  contexts          = { a = "target:a" }
}
