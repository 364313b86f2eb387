target "a" {
 annotations = ["k=v"]
  cache-from = ["c"]
}