target "a" {
  tags = [1, true, "x"]
  args = { n = 1.50, b = false, e = "" }
  pull = "true"
  no-cache = "0"
  shm-size = 1024
  ulimits = setunion(["nofile=5"], ["core=1"])
}
