"""`bakehouse images`: the names of the local image store; `bakehouse images rm NAME` forgets some."""

from __future__ import annotations

import json
import sys
import time

from bakehouse.cli.flags import BOOL, Flag, UsageError, parse, render_help

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.store import Store

FLAGS = (
    Flag("quiet", BOOL, "Show only image IDs", short="q"),
    Flag("no-trunc", BOOL, "Do not shorten image IDs"),
    Flag("format", help='"table" or "json"', default="table"),
)


def help_text() -> str:
    return render_help(
        "bakehouse images [OPTIONS] [NAME]  |  bakehouse images rm NAME...",
        "List, or remove, images of the local store.",
        FLAGS,
    )


def command(argv: Sequence[str]) -> int:
    parsed = parse(FLAGS, argv)
    from bakehouse.cli.session import settings
    from bakehouse.store import Store

    with Store.open(settings().store_root) as store:
        if parsed.arguments and parsed.arguments[0] == "rm":
            return _remove(store, parsed.arguments[1:])
        if len(parsed.arguments) > 1:
            raise UsageError("`bakehouse images` takes at most one name")
        rows = [_row(store, *item) for item in store.images.list()]
    if parsed.arguments:
        wanted = parsed.arguments[0]
        rows = [row for row in rows if wanted in (row["repository"], f"{row['repository']}:{row['tag']}")]
    if parsed.text("format") == "json":
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
        return 0
    if parsed.text("format") != "table":
        raise UsageError(f"unknown format {parsed.text('format')!r}", hint="table or json")
    for row in rows:
        if not parsed.on("no-trunc"):
            row["id"] = str(row["id"]).removeprefix("sha256:")[:12]
    if parsed.on("quiet"):
        sys.stdout.write("".join(f"{row['id']}\n" for row in rows))
        return 0
    from bakehouse.cli.tables import ago, human_size, table

    now = time.time()
    cells = [
        (
            str(row["repository"]),
            str(row["tag"]),
            str(row["id"]),
            ago(now - float(str(row["stored"]))),
            human_size(int(str(row["size"]))),
        )
        for row in rows
    ]
    sys.stdout.write(table(("REPOSITORY", "TAG", "IMAGE ID", "STORED", "SIZE"), cells))
    return 0


def _remove(store: Store, names: Sequence[str]) -> int:
    from bakehouse.builders.image_names import find_image
    from bakehouse.errors import BakehouseError

    if not names:
        raise UsageError("`bakehouse images rm` needs a name")
    failed: BakehouseError | None = None
    for name in names:
        try:
            full, _ = find_image(store, name)
        except BakehouseError as error:
            failed = failed or error
            continue
        store.images.remove(full)
        sys.stdout.write(f"Untagged: {full}\n")
    if failed is not None:
        raise failed
    return 0


def _row(store: Store, name: str, descriptor: object, stored: float) -> dict[str, object]:
    from bakehouse.builders.image_names import describe

    return describe(store, name, descriptor) | {"stored": stored}
