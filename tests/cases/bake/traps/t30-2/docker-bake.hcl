target "a_b" {}
group "g" { targets = ["a.b"] }
