target "default" { dockerfile-inline = "FROM scratch" }
# lint:ignore unused-variabl, unused-function: because
