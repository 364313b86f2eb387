function "f" {
  params = [a]
  variadic_params = rest
  result = "${a}:${join("+", rest)}"
}
target "a" { args = { x = f("p", "q", "r"), y = f("p") } }
