"""`bakehouse du`: what the store holds."""

from __future__ import annotations

import json
import sys
import time

from bakehouse.cli.flags import BOOL, LIST, Flag, UsageError, parse, render_help

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS = (
    Flag("filter", LIST, 'Show only records that match ("type==regular", "inuse", "description~=RUN")'),
    Flag("verbose", BOOL, "Show every record whole"),
    Flag("format", help='"table" or "json"', default="table"),
)


def help_text() -> str:
    return render_help("bakehouse du [OPTIONS]", "Show what the store holds.", FLAGS)


def command(argv: Sequence[str], *, debug: bool = False) -> int:
    parsed = parse(FLAGS, argv)
    if parsed.arguments:
        raise UsageError("`bakehouse du` takes no arguments")
    from bakehouse.cli.session import settings
    from bakehouse.cli.tables import ago, human_size, table
    from bakehouse.store import Store

    with Store.open(settings().store_root) as store:
        records = sorted(store.usage(parsed.texts("filter")), key=lambda record: (-record.size, record.id))
    now = time.time()
    if parsed.text("format") == "json":
        for record in records:
            sys.stdout.write(
                json.dumps(
                    {
                        "id": record.id,
                        "type": record.record_type,
                        "size": record.size,
                        "reclaimable": not record.in_use,
                        "shared": record.shared,
                        "mutable": record.mutable,
                        "createdAt": record.created_s,
                        "lastUsedAt": record.last_used_s,
                        "usageCount": record.usage_count,
                        "description": record.description,
                    }
                )
                + "\n"
            )
        return 0
    if parsed.text("format") != "table":
        raise UsageError(f"unknown format {parsed.text('format')!r}", hint="table or json")
    if parsed.on("verbose"):
        for record in records:
            sys.stdout.write(
                f"ID:\t\t{record.id}\nCreated at:\t{ago(now - record.created_s)}\nMutable:\t{record.mutable}\n"
                f"Reclaimable:\t{not record.in_use}\nShared:\t\t{record.shared}\nSize:\t\t{human_size(record.size)}\n"
                f"Description:\t{record.description}\nUsage count:\t{record.usage_count}\n"
                f"Last used:\t{ago(now - record.last_used_s)}\nType:\t\t{record.record_type}\n\n"
            )
    else:
        rows = [
            (
                record.id + ("*" if record.mutable else ""),
                "false" if record.in_use else "true",
                human_size(record.size),
                ago(now - record.last_used_s),
            )
            for record in records
        ]
        sys.stdout.write(table(("ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED"), rows))
    total = sum(record.size for record in records)
    free = sum(record.size for record in records if not record.in_use and not record.shared)
    sys.stdout.write(f"Reclaimable:\t{human_size(free)}\nTotal:\t\t{human_size(total)}\n")
    return 0
