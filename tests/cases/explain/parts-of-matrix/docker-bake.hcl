variable "VERSIONS" {
  default = {
    "3.11" = { base = "bookworm", args = { OLD = "1" } }
    "3.12" = { base = "trixie", args = {} }
  }
}

target "python" {
  name = "python-${replace(version, ".", "-")}-${item.suffix}"
  matrix = {
    version = keys(VERSIONS)
    item    = [{ suffix = "slim", args = { SLIM = "yes" } }, { suffix = "full", args = {} }]
  }
  args = merge({ BASE = VERSIONS[version].base }, VERSIONS[version].args, item.args)
  tags = ["python:${version}-${item.suffix}"]
}
