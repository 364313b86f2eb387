# Three targets that share one base and one folder of texts.

variable "TAG" {
  default     = "latest"
  description = "tag of every image"
}

variable "NAME" {
  default = "world"
}

function "tagged" {
  params = [name]
  result = ["demo/${name}:${TAG}"]
}

group "default" {
  targets = ["greeter", "site", "report"]
}

# What the other targets start from; built because they link to it, never stored under a name.
target "base" {
  context           = "shared"
  dockerfile-inline = <<-EOF
    FROM demo-base
    RUN useradd --uid 1000 --create-home demo
    COPY words.txt /usr/share/words.txt
  EOF
}

target "greeter" {
  context  = "greeter"
  contexts = { base = "target:base" }
  args     = { NAME = NAME }
  tags     = tagged("greeter")
}

target "site" {
  context  = "site"
  contexts = { base = "target:base" }
  tags     = tagged("site")
}

target "report" {
  name     = "report-${format}"
  matrix   = { format = ["text", "json"] }
  context  = "site"
  contexts = { base = "target:base" }
  target   = "report"
  args     = { FORMAT = format }
  tags     = tagged("report-${format}")
}
