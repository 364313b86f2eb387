target "default" {
  args = { A = 1 }
  dockerfile-inline = "# syntax=example/other\nFROM scratch"
}
target "far" {
  args = { A = 1 }
  description = "d"
  context = "https://example.com/x.git"
}
