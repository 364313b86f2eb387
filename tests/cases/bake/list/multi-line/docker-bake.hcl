variable "v" {
  default = "a\nbb\tc"
  description = "d\te"
}
variable "w" {}
