group "g" {
  matrix = {}
  targets = []
}
