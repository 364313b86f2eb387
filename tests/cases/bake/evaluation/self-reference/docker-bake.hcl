target "a" {
  tags = ["t"]
  args = { t = target.a.tags[0] }
}
