target "default" { dockerfile-inline = "FROM scratch" }
variable "goal" {}
target "default" { target = goal }
