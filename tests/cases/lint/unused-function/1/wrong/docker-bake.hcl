target "default" { dockerfile-inline = "FROM scratch" }
function "f" {
  params = []
  result = 1
}
