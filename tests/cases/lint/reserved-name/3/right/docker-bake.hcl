target "default" { dockerfile-inline = "FROM scratch" }
target "default" { platforms = [BAKE_LOCAL_PLATFORM] }
