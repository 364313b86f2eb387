target "a" {
  output = ["type=oci,tar=false"]
}
