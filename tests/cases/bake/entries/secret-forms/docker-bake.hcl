target "a" {
  secret = ["ID=a,Source=f", "id=b,env=B", "id=c,type=env,src=C", { id = "d", src = "f", other = "x" }, "id=TOK"]
}
