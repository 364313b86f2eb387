target "default" { dockerfile-inline = "FROM scratch" }
function "f" {
  params = []
  result = 1
}
target "default" { labels = { x = "${f()}" } }
