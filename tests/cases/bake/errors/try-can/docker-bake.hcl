target "a" { args = { x = try(nope, "t"), y = can(nope2), z = try(target.q.r, "none") } }
