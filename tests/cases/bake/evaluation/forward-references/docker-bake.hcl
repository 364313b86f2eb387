target "a" { args = { x = target.b.args.y, z = v } }
v = w
variable "w" { default = "deep" }
target "b" { args = { y = v } }
