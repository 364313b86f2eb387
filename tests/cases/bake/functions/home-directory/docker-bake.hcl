home = homedir()

target "default" {
  args = {
    h = home
    p = "${homedir()}/.cache"
  }
}
