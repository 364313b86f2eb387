target "a" {
  description = "A <target> & more"
  annotations = ["index:k=v", "manifest[linux/arm64],index-descriptor:q=w", "p=1", "p=1", ""]
  attest = ["type=provenance,mode=max", { type = "sbom", generator = "g" }]
  context = "./ctx//sub/.."
  contexts = { z = "docker-image://alpine", a = "./b/" }
  dockerfile = "D"
  dockerfile-inline = "FROM scratch\nRUN echo $${x}"
  args = { b = "2", a = "1", "x y" = "é\u2028\u0001\t" }
  labels = { l = "%%{if}" }
  tags = ["t:1", "t:2", "t:1", ""]
  cache-from = ["ref1,ref2", "type=local,src=x", { type = "gha", scope = "s" }]
  cache-to = ["type=inline", { type = "registry", ref = "r", mode = "max" }]
  target = ""
  secret = ["id=e,env=HOME", { id = "f", env = "X" }]
  platforms = ["linux/amd64", "linux/arm64/v8,local", "linux/amd64"]
  output = ["type=image,name=x", { type = "oci", dest = "o.tar" }, "out"]
  pull = false
  no-cache = true
  network = "host"
  no-cache-filter = ["a", "b", "a"]
  shm-size = "128m"
  ulimits = ["nofile=1:2", "core=-1"]
  resources = { memory = "1g", memory-swap = "-1", cpu-shares = 512, cpu-quota = "5", cpuset-cpus = "0-1", unknown = "x" }
  call = "check"
  entitlements = ["security.insecure"]
  extra-hosts = { h = "1.2.3.4", g = "::1" }
  policy = ["filename=a.rego,filename=b.rego,strict=false,log-level=warn", { disabled = true }]
}
