target "default" { dockerfile-inline = "FROM scratch" }
BAKE_LOCAL_PLATFORM = "x"
