variable "PROFILE" { default = null }
variable "BASES" { default = "testing,latest" }
variable "PLACES" { default = "one.example/app,two.example/app" }

function "texts" {
  params = []
  result = {
    "org.example.created" = "${formatdate("YYYY-MM-DD'T'hh:mm:ssZZZZZ", "2024-01-02T03:04:05Z")}"
    "org.example.none" = "${PROFILE}"
  }
}

function "tags" {
  params = [
    suffix,  // behind the base
    machine  # behind the suffix
  ]
  result = flatten([
    for place in flatten(split(",", PLACES)) :
      [for base in split(",", BASES) :
        concat(
          # an alias
          base == "latest" ? suffix == "-small" ? ["${place}:small${machine}"] : [] : [],
          ["${place}:${base}${suffix}${machine}"]
        )
      ]
  ])
}

target "_common" {
  labels = texts()
  args = { PROFILE = "${PROFILE}" }
}

target "default" {
  inherits = ["_common"]
  tags = tags("-small", "-${replace(replace("linux/arm/v7", "linux/", ""), "/", "")}")
  output = [join(",", flatten([["type=image"], [for key, value in texts() :
    value != null ? formatlist("annotation-index.%s=%s", "${key}", "${value}") : []]]))]
}
