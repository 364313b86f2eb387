target "a" { secret = ["type=env,id=x,src=E", { id = "y", env = "F" }, "id=x,env=G"] }
