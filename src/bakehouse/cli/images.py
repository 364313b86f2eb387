"""`bakehouse images`: the names of the local image store; `bakehouse images rm NAME` forgets some."""

from __future__ import annotations

import json
import sys
import time

from bakehouse.cli.flags import BOOL, LIST, Flag, UsageError, parse, render_help

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.store import Store

FLAGS = (
    Flag(
        "filter",
        LIST,
        'Show only images that match ("reference=PATTERN", "label=KEY[=VALUE]", "dangling=true")',
        short="f",
    ),
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


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    parsed = parse(FLAGS, argv)
    if parsed.text("format") not in ("table", "json"):
        raise UsageError(f"unknown format {parsed.text('format')!r}", hint="table or json")
    from bakehouse.builders.image_names import ImageFilter, describe
    from bakehouse.cli.session import settings
    from bakehouse.store import Store

    wanted = [ImageFilter.parse(text) for text in parsed.texts("filter")]
    removing = bool(parsed.arguments) and parsed.arguments[0] == "rm"
    if len(parsed.arguments) > 1 and not removing:
        raise UsageError("`bakehouse images` takes at most one name")
    if parsed.arguments and not removing:
        wanted.append(ImageFilter("reference", parsed.arguments[0]))
    with Store.open(settings().store_root) as store:
        if removing:
            return _remove(store, parsed.arguments[1:])
        rows = [
            describe(store, name, descriptor) | {"stored": stored}
            for name, descriptor, stored in store.images.list()
            if all(item.matches(store, name, descriptor) for item in wanted)
        ]
    if not parsed.on("no-trunc") and parsed.text("format") == "table":
        for row in rows:
            row["id"] = str(row["id"]).removeprefix("sha256:")[:12]
    if parsed.on("quiet"):
        sys.stdout.write("".join(f"{id}\n" for id in dict.fromkeys(str(row["id"]) for row in rows)))
    elif parsed.text("format") == "json":
        sys.stdout.write("".join(json.dumps(row) + "\n" for row in rows))
    else:
        _write_table(rows)
    return 0


def _write_table(rows: Sequence[dict[str, object]]) -> None:
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
