target "a" {
  output = ["out", "type=tar,dest=x.tar", "type=image, Name =x,Push=true", "\"type=local\",\"dest=a,b\"", { type = "image", push = true, n = 5 }, "", "type=image"]
}
