"""Generic solving of a graph of operations: sharing, parallelism, cache keys, cancellation. Knows no containers."""
