target "default" { dockerfile-inline = "FROM scratch" }
group "g" { targets = [] }
group "g" { targets = ["default"] }
