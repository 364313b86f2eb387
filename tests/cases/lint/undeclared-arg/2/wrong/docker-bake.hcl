target "default" { dockerfile-inline = "FROM scratch" }
target "base" { args = { A = 1, B = 2 } }
group "g" { targets = ["a", "b"] }
target "a" {
  inherits = ["base"]
  dockerfile-inline = "FROM scratch\nARG B"
}
target "b" {
  inherits = ["base"]
  dockerfile-inline = "FROM scratch"
}
