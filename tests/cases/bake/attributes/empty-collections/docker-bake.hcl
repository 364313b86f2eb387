target "a" {
  tags = []
  args = {}
  output = []
  cache-from = []
  secret = []
  resources = {}
  network = ""
  target = ""
  dockerfile = ""
  dockerfile-inline = ""
  context = ""
  description = ""
  call = ""
  shm-size = "0"
}
