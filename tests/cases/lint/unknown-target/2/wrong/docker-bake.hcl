target "default" { dockerfile-inline = "FROM scratch" }
target "a" {
  description = "d"
  inherits = ["nobody"]
}
