target "a" {
  annotations = ["k=v", "l=w"]
  description = "from the override"
}
