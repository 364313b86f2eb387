target "a" { secret = ["id=nosuch"] }
target "b" { ssh = ["default"] }
target "c" { output = ["type=local"] }
target "d" { ulimits = ["zz"] }
target "ok" {}
