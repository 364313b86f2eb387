target "default" { dockerfile-inline = "FROM scratch" }
target "default" { inherits = ["default"] }
