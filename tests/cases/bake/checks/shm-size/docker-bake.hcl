target "a" {
  shm-size = "1x"
}
