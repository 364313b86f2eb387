variable "u" { default = ["d"] }
variable "t" { type = list(string) }
variable "p" { default = "d" }
target "a" {
  tags = concat(u, t == null ? [] : t)
  args = { p = p }
}
