target "a" {
  no-cache-filter = ["f"]
  ulimits = ["nofile=1:2"]
}
