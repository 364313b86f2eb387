target "default" { dockerfile-inline = "FROM scratch" }
function "up" {
  params = [a]
  result = a
}
target "default" { labels = { a = up("a") } }
