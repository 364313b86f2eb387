"""Build caches outside of the local store: written after a build, asked before a step runs (engine.md §19)."""
