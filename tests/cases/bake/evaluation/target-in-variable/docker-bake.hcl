variable "v" { default = target.a.tags[0] }
target "a" { tags = ["t"] }
