target "a" {
  args = { x = "$${v} %%{w} $y" }
  tags = ["$${v}"]
  description = "$${v}"
}
