target "a" { output = ["dest=x"] }
target "b" { output = ["type=oci"] }
target "c" { output = ["type=IMAGE,Name=X"] }
