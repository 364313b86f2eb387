g = "G"
function "f" {
  params = [a]
  result = "${upper(h(a))}${g}"
}
function "h" {
  params = [b]
  result = "${b}-${v}"
}
variable "v" { default = "V" }
target "a" { args = { x = f("p") } }
