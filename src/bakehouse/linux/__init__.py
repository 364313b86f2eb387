"""Exact wrappers of Linux system calls that Python's `os` module lacks, each with one error path.

Every function raises `OSError` with `errno` and `filename` set, as `os` functions do; nothing here turns an error
into a project error, decides policy or knows images. Modules: `libc` (calling convention), `mounts`, `namespaces`,
`files` (openat2, xattrs, copying, times), `locks` (flock).
"""
