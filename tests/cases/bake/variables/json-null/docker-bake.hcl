variable "s" { type = string }
variable "n" { type = number }
variable "b" { type = bool }
variable "ls" { type = list(string) }
variable "ln" { type = set(number) }
variable "m" { type = map(string) }
variable "t" { type = tuple([string, number, bool]) }
variable "o" {
  type = object({ a = string, b = optional(number) })
  default = null
}
variable "any" {
  type = any
  default = 1
}
target "a" {
  args = {
    s = jsonencode(s)
    n = jsonencode(n)
    b = jsonencode(b)
    ls = jsonencode(ls)
    ln = jsonencode(ln)
    m = jsonencode(m)
    t = jsonencode(t)
    o = jsonencode(o)
    any = any
  }
}
