target "default" { dockerfile-inline = "FROM scratch" }
target "default" { resources = { cpus = 2 } }
