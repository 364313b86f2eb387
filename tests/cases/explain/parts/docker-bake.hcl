variable "VERSION" { default = "1.4" }
variable "ENV" { default = "prod" }
variable "IMAGES" {
  default = {
    web = { tags = ["web:${VERSION}", "web:edge"], limits = { prod = "8", dev = "1" } }
    db  = { tags = ["db:1"], limits = {} }
  }
}

common = { TZ = "UTC", RELEASE = VERSION }
mirrors = ["one.example", "two.example"]

function "settings" {
  params = [name, extra]
  result = merge(common, { NAME = "shop-${name}", SIZE = lookup(IMAGES[name].limits, ENV, "2") }, extra)
}

target "web" {
  args = merge(settings("web", { EXTRA = VERSION }), ENV == "prod" ? { DEBUG = "no" } : { DEBUG = "yes" })
  tags = concat(
    IMAGES.web.tags,
    distinct(flatten([for host in mirrors : [for tag in IMAGES["web"].tags : "${host}/${tag}"]])),
  )
  labels     = { for name, image in IMAGES : name => image.tags[0] if name != "db" }
  contexts   = try(IMAGES.web.contexts, { src = "target:${element(["a", "web2"], 1)}" })
  dockerfile = coalesce(null, "${ENV}.Dockerfile")
}

target "web2" {
  args = { SIZE = target.web.args.SIZE, FIRST = values(common)[0], PICKED = slice(mirrors, 1, 2)[0] }
}
