target "a" {
  dockerfile-inline = "FROM scratch"
}
group "default" {
  targets = ["a"]
}
