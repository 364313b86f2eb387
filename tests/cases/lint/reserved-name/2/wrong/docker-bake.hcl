target "default" { dockerfile-inline = "FROM scratch" }
function "BAKE_CMD_CONTEXT" {
  params = []
  result = 1
}
