variable "text" {}
both = setunion(text, text)
target "a" {
  matrix = {}
  call = both
}
target "b" {
  labels = try(both)
}
