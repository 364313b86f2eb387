target "default" { dockerfile-inline = "FROM scratch" }
target "default" { resources = { cpu-shares = 2 } }
