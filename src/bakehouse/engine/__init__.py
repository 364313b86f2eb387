"""The embedded engine: runs LLB on this machine with no daemon. `engine.engine` is the composition root."""
