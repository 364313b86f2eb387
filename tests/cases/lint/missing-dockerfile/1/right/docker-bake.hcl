target "default" { dockerfile = "x.Dockerfile" }
