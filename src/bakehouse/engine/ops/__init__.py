"""One module an LLB op."""
