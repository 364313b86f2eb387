target "default" {
  context = "../right"
}
