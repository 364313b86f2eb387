target "a" {
  annotations = ["k=$${v}"]
  args = { k = "$${v}%%{w}", "$${k}" = "1" }
  labels = { k = "$${v}" }
  extra-hosts = { k = "$${v}" }
  dockerfile-inline = "$${v}"
  context = "$${v}"
  target = "%%{t}"
}
