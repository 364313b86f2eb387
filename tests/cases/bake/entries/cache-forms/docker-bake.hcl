target "a" {
  cache-from = ["a,b", "type=registry,ref=c", "Type=local,SRC=x", { type = "s3", region = "r" }, ""]
}
