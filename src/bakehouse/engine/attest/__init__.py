"""Attestations: what is said of a result beside the result itself, provenance and SBOMs (engine.md §18)."""
