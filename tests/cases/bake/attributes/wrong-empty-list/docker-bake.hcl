target "a" {
  tags = csvdecode("name\n")
}
