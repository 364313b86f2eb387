target "default" { dockerfile-inline = "FROM scratch" }
target "default" { secret = [{ id = "a", source = "b", env = "A" }, "id=c,env=B"] }
