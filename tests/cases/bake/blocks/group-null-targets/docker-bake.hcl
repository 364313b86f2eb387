group "g" {
  targets = null
  description = "d"
}
target "a" {}
