group "g" { targets = ["b", "h"] }
group "h" { targets = ["c", "a", "c"] }
target "a" {}
target "b" {}
target "c" {}
target "d_e" {}
