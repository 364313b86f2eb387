"""Benchmarks: ours beside the real peers, in turn, in one run. See `run.py`."""
