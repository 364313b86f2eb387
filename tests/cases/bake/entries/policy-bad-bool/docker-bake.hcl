target "a" {
  policy = ["strict=maybe"]
}
