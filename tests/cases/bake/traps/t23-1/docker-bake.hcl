target "a" { cache-from = ["type=a", "type=b", "type=a", "type=c", "type=d"] }
