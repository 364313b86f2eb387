target "a" {
  cache-from = ["ref=x,mode=max"]
}
