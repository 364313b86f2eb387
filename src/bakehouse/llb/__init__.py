"""LLB: ops (`ops`), their canonical bytes (`encode`, `decode`), and builders of graphs (`state`)."""
