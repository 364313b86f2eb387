"""Transfers beside each other: what exporters and caches send to a place that answers slowly."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def side_by_side(tasks: Iterable[Callable[[], None]], workers: int, name: str) -> None:
    """Runs `tasks`, up to `workers` at once, in threads called after `name`. The first error in the order of the tasks
    is raised once those under way have ended; none is begun any more then."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers, thread_name_prefix=name) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise
