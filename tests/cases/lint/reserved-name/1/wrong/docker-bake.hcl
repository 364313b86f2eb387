target "default" { dockerfile-inline = "FROM scratch" }
variable "target" {}
