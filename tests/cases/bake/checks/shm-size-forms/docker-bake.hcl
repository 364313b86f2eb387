target "a" {
  shm-size = "1.5 GiB"
}
