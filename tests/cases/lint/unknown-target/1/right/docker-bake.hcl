target "default" { dockerfile-inline = "FROM scratch" }
group "g" { targets = ["default"] }
group "h" { targets = ["g"] }
