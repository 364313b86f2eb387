target "a" {
  context = "./x/../y/"
  dockerfile = "./D/../E"
  contexts = { c = "./p/" }
}
target "b" { context = "docker-image://img" }
