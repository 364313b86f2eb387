"""Build caches outside the local store: their format, where they are kept, and how a solve reads and writes them."""
