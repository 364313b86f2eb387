"""Many commands at once for a parametrised test: most of a run of a peer is waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import pytest

C = TypeVar("C")
T = TypeVar("T")


@contextmanager
def asked(
    test: Callable[..., object],
    cases: Sequence[C],
    name: Callable[[C], str],
    ask: Callable[[C], T],
    request: pytest.FixtureRequest,
) -> Iterator[Mapping[str, Future[T]]]:
    """The answers, by name, to every case of `test` that is to be run in this session."""
    chosen = {item.name for item in request.session.items}
    wanted = [case for case in cases if f"{test.__name__}[{name(case)}]" in chosen]
    with ThreadPoolExecutor(4) as pool:
        yield {name(case): pool.submit(ask, case) for case in wanted}
