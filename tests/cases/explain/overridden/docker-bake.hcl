variable "LIST" {
  type    = list(string)
  default = ["a"]
}
variable "COUNT" {
  type    = number
  default = 1
}
variable "EMPTY" {}
variable "NAME" { default = "n-${COUNT}" }
target "app" {
  tags       = [for item in LIST : "app:${item}"]
  dockerfile = EMPTY
  args = {
    COUNT = COUNT
    NAME  = NAME
    SAME  = NAME
    GONE  = null
  }
  secret     = ["id=token,env=TOKEN", { id = "cert", src = "ca.pem" }]
  cache-from = ["example/app:cache", "type=inline", "example/app:cache"]
  contexts   = { src = "./src/", old = "" }
  no-cache   = false
}
