group "g" {}
