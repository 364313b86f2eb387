target "default" { dockerfile-inline = "FROM scratch" }
group "g" { targets = ["default", "defalt"] }
