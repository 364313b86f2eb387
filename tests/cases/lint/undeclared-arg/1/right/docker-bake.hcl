target "default" {
  args = { VERSION = 1 }
}
