variable "TAG" {
  default = "latest"
}
variable "REGISTRY" { default = "example" }
repo = "${REGISTRY}/shop"

function "tagged" {
  params = [name]
  result = ["${repo}/${name}:${TAG}", "${repo}/${name}:edge"]
}

group "default" { targets = ["web", "worker"] }

target "base" {
  args = {
    VERSION = "1.2"
    MODE    = TAG == "latest" ? "dev" : "prod"
  }
  platforms = ["linux/amd64", "linux/amd64", "linux/arm64"]
  network   = "host"
}

target "web" {
  inherits = ["base"]
  context  = "./web/"
  tags     = tagged("web")
  args     = { MODE = "x" }
  output   = ["type=image"]
}

target "worker" {
  name     = "worker-${v}"
  matrix   = { v = ["1", "2"] }
  inherits = ["base"]
  args     = { V = v, TAGS = join(",", target.web.tags) }
}

target "base" { labels = { "a.b" = "c" } }
