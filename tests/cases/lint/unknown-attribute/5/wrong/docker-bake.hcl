target "a" {
  dockerfile-inline = "FROM scratch"
}
target "default" {
  dockerfile-inline = "FROM scratch"
  targets = ["a"]
}
group "g" { targets = ["a"] }
