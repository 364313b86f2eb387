target "default" { dockerfile-inline = "FROM scratch" }
target "default" {
  context = "yes"
  contexts = { a = "./there" }
}
