target "a" { context = "cwd://x/../y" }
target "b" { context = "cwd://" }
target "c" { context = "https://h/x//y" }
target "d" { context = "/abs/../q" }
target "e" { context = "github.com/a/b//c" }
target "f" { context = "git://h/x" }
target "g" { context = "oci-layout://p" }
target "h" { context = "../x/" }
