target "default" { dockerfile-inline = "FROM scratch" }
# lint:ignore unused-variable, unused-function: because
