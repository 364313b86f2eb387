target "default" { dockerfile-inline = "FROM scratch" }
target "base" { context = "no" }
target "default" { inherits = ["base"] }
