group "g" {
  description = "<d>"
  targets = ["a"]
}
target "a" { description = "x" }
