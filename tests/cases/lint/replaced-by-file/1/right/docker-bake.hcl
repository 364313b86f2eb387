target "default" { dockerfile-inline = "FROM scratch" }
variable "v" { default = 1 }
g = 1
