"""`bakehouse prune`: removes what the store no longer needs, under BuildKit's rules (engine.md §20)."""

from __future__ import annotations

import sys

from bakehouse.cli.flags import BOOL, LIST, Flag, UsageError, parse, render_help

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS = (
    Flag("all", BOOL, "Include internal records, and untagged images", short="a"),
    Flag("force", BOOL, "Do not ask", short="f"),
    Flag("filter", LIST, 'Remove only records that match ("until=24h", "type==exec.cachemount")'),
    Flag("keep-storage", help="Bytes to keep (older name of --reserved-space)", hidden=True),
    Flag("reserved-space", help="Bytes that are always kept"),
    Flag("max-used-space", help="Most bytes that the store may use"),
    Flag("min-free-space", help="Bytes that shall be free on the disk"),
    Flag("verbose", BOOL, "Name every record removed"),
)


def help_text() -> str:
    return render_help("bakehouse prune [OPTIONS]", "Remove what the store no longer needs.", FLAGS)


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    parsed = parse(FLAGS, argv)
    if parsed.arguments:
        raise UsageError("`bakehouse prune` takes no arguments")
    filters, keep_s = [], 0.0
    for text in parsed.texts("filter"):
        if text.startswith("until="):
            keep_s = duration_s(text.removeprefix("until="))
        else:
            filters.append(text)
    if not parsed.on("force") and sys.stdin.isatty():
        sys.stderr.write("WARNING! This will remove all build cache that is not in use. Continue? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return 0
    from bakehouse.cli.session import enter_user_namespace, settings
    from bakehouse.cli.tables import human_size
    from bakehouse.engine.pruning import prune
    from bakehouse.go.units import parse_ram_bytes
    from bakehouse.store import PrunePolicy, Store

    def size(name: str) -> int:
        try:
            return parse_ram_bytes(parsed.text(name)) if parsed.text(name) else 0
        except ValueError as error:
            raise UsageError(
                f'invalid argument "{parsed.text(name)}" for "--{name}" flag: {error}',
                hint="for example 10gb",
            ) from None

    policy = PrunePolicy(
        all=parsed.on("all"),
        filters=tuple(filters),
        keep_duration_s=keep_s,
        reserved_space=size("reserved-space") or size("keep-storage"),
        max_used_space=size("max-used-space"),
        min_free_space=size("min-free-space"),
    )
    configured = settings()
    # Files of images may belong to the user's subordinate ids, which only root of a namespace can remove.
    enter_user_namespace()
    with Store.open(configured.store_root) as store:
        if parsed.on("all"):
            _drop_untagged(store)
        removed = prune(store, policy)
    if parsed.on("verbose"):
        for record in removed:
            sys.stdout.write(f"{record.id}\t{human_size(record.size)}\t{record.description}\n")
    sys.stdout.write(f"Total:\t{human_size(sum(record.size for record in removed))}\n")
    return 0


def _drop_untagged(store: object) -> None:
    from bakehouse.builders.image_names import DANGLING
    from bakehouse.store import Store

    assert isinstance(store, Store)
    for name, _, _ in store.images.list():
        if name.startswith(DANGLING):
            store.images.remove(name)


def duration_s(text: str) -> float:
    """Seconds of a Go duration (`1h30m`, `250ms`). Raises `UsageError`."""
    from bakehouse.go.units import parse_duration

    try:
        return parse_duration(text) / 1e9
    except ValueError as error:
        raise UsageError(str(error), hint="for example 24h or 1h30m") from None
