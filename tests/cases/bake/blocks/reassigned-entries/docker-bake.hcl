target "a" {
  output = ["type=image"]
  secret = ["id=s,env=E"]
  cache-to = ["type=local,dest=d"]
}
target "b" {
  output = concat(target.a.output, ["type=docker"])
  secret = target.a.secret
  cache-to = target.a.cache-to
}
