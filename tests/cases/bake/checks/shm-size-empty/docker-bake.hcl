target "a" {
  shm-size = ""
}
