target "default" { dockerfile-inline = "FROM scratch" }
variable "v" {
  validation {
    condition = v != 1
  }
}
function "f" {
  params = [v]
  result = v
}
target "m" {
  matrix = { v = ["a"] }
  name = v
  description = f(v)
  dockerfile-inline = "FROM scratch"
}
