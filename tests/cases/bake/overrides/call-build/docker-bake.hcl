target "none" {}
target "img" { output = ["type=image", "type=registry"] }
target "loc" { output = ["out"] }
target "doc" { output = ["type=docker"] }
target "ocid" { output = ["type=oci,dest=o.tar"] }
target "docd" { output = ["type=docker,dest=d.tar"] }
