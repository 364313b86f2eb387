target "a" {
  inherits = ["p"]
  contexts = { o = "z" }
}
target "b" { context = target.p.context }
target "q" { args = { x = 1 } }
target "r" { inherits = ["q"] }
target "abs" { context = "/x" }
target "u" { context = "https://h/x" }
target "w" { context = "cwd://k" }
