target "a" {
  output = ["type=image,foo"]
}
