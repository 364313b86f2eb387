target "default" { dockerfile-inline = "FROM scratch" }
target "default" { secret = [{ id = "a", env = "A" }, "id=c,env=B"] }
