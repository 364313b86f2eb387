target "default" { dockerfile-inline = "FROM scratch" }
target "default" { tags = ["app"] }
target "b" {
  description = "d"
  dockerfile-inline = "FROM scratch"
  tags = ["x", "docker.io/library/app:latest"]
}
