variable "p" {
  default = BAKE_LOCAL_PLATFORM
  validation {
    condition = BAKE_LOCAL_PLATFORM != ""
  }
}
target "a" { args = { os = split("/", p)[0] } }
