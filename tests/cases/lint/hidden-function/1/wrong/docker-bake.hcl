target "default" { dockerfile-inline = "FROM scratch" }
function "upper" {
  params = [a]
  result = a
}
target "default" { labels = { a = upper("a") } }
