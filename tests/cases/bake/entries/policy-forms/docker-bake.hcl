target "a" {
  policy = ["FileName=x,reset=1", { filename = "y", strict = true, log-level = "DEBUG" }, { disabled = "", strict = null }, "disabled=true"]
}
