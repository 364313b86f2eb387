"""Cases of whole builds: folders of `tests/cases/build`, built in few runs by BuildKit and by us, then compared.

A family is a folder with the cases `NAME.Dockerfile`, their common `context/`, and perhaps `make`, a shell script that
adds to a context what git cannot hold (devices, times, archives, awkward names). Lines of a case that begin with `#: `
speak to the test:

    #: target {"args": {"A": "1"}}    fields of the Bake target, as JSON; `$CONTEXT`, `$HTTP` and `$GIT` are replaced
    #: differs TEXT; REASON           an accepted difference: text to expect in a reported line, and why
    #: varies REASON                  the files that the steps write differ from run to run, so there is no one image ID
    #: fails TEXT                     no image: both say TEXT; or one of several, between ` || `

Every case that builds is two targets: plain, and with a source date epoch and rewritten times.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.command import Bakehouse
from tests.support.paths import CASES
from tests.support.services import BuildKit

ROOT = CASES / "build"
EPOCH = 1_600_000_000
#: What files of contexts are dated, on both sides of the epoch, exactly on it, and with parts of a second.
TIMES_NS = tuple(
    (EPOCH + seconds) * 10**9 + ns
    for seconds, ns in ((-1_000_000, 0), (1_000_000, 0), (0, 0), (-5, 123_456_789))
)
_MARK = "#: "
ALLOWED = ("network.host", "security.insecure", "ssh", "fs=*")


@dataclass(frozen=True)
class Case:
    """One Dockerfile of a family. `differs` are texts of accepted differences, `fails` those that its error holds."""

    family: str
    name: str
    dockerfile: str
    fields: dict[str, object] = field(default_factory=dict)
    differs: tuple[str, ...] = ()
    varies: bool = False
    fails: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.family}/{self.name}"

    @property
    def target(self) -> str:
        return f"{self.family}_{self.name}"

    @property
    def dated(self) -> bool:
        """Whether it has one image ID, whoever builds it and when, once its times are settled."""
        return not (self.varies or self.fails or self.differs)

    @property
    def platforms(self) -> list[str | None]:
        """The platforms of its images; None stands for the only one."""
        named = self.fields.get("platforms")
        return list(named) if isinstance(named, list) else [None]


def cases() -> list[Case]:
    """All cases, in a stable order."""
    return [
        _read(path)
        for family in sorted(path for path in ROOT.iterdir() if path.is_dir())
        for path in sorted(family.glob("*.Dockerfile"))
    ]


def _read(path: Path) -> Case:
    text = path.read_bytes().decode()  # with the line ends that it has
    fields: dict[str, object] = {}
    differs, fails, varies = [], [], False
    for line in text.splitlines():
        if not line.startswith(_MARK):
            continue
        word, _, rest = line.removeprefix(_MARK).partition(" ")
        if word == "target":
            fields |= json.loads(rest)
        elif word == "differs":
            differs.append(rest.partition(";")[0])
        elif word == "varies":
            varies = True
        elif word == "fails":
            fails.append(rest)
        else:
            raise ValueError(f"{path}: {line}")
    # Errors show lines of the Dockerfile, and what the test looks for must not be among them by itself.
    plain = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(_MARK))
    return Case(
        path.parent.name,
        path.name.removesuffix(".Dockerfile"),
        plain,
        fields,
        tuple(differs),
        varies,
        tuple(fails),
    )


def prepare(case: Case, context: Path) -> Path:
    """The case's context at `context`. Entries that `make` did not date get a time that follows from their names, so
    that equal files of different contexts have equal times: a builder may take one for the other."""
    family = ROOT / case.family
    source = family / "context"
    if source.exists():
        shutil.copytree(source, context, symlinks=True)
    else:
        context.mkdir(parents=True)
    if (family / "make").exists():
        _make(family / "make", context)
    if not (context / "Dockerfile").exists():
        (context / "Dockerfile").write_bytes(case.dockerfile.encode())
    for directory, names, files in os.walk(os.fsencode(context), topdown=False):
        for name in files + names:
            _settle(os.path.join(directory, name), name)
    _settle(os.fsencode(context), b"/")
    return context


def _make(script: Path, context: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["sh", "-eu", str(script)], cwd=context, env=environ, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr}")


def _settle(path: bytes, name: bytes) -> None:
    status = os.lstat(path)
    # Copies of files that git wrote are as recent as the clone.
    if status.st_mtime > EPOCH + 10_000_000:
        chosen = TIMES_NS[hashlib.sha256(name).digest()[0] % len(TIMES_NS)]
        os.utime(path, ns=(chosen, chosen), follow_symlinks=False)


@dataclass
class Batch:
    """Cases that were built together below `root`. `errors` holds what each builder said of a case that failed."""

    root: Path
    errors: dict[tuple[str, str], str] = field(default_factory=dict)

    def image(self, builder: str, case: Case, variant: str) -> Path:
        """The OCI archive of `builder` (`ours`, `theirs`); `variant` is `plain` or `dated`."""
        return self.root / builder / f"{case.target}.{variant}.tar"


def build(
    chosen: Sequence[Case], root: Path, places: dict[str, str], ours: Bakehouse, theirs: BuildKit
) -> Batch:
    """Builds each case with both builders. `places` are values of the placeholders."""
    batch = Batch(root)
    for case in chosen:
        prepare(case, root / "contexts" / case.target)
    for builder in ("ours", "theirs"):
        (root / builder).mkdir()
        definition = root / f"{builder}.json"
        definition.write_text(json.dumps({"target": _targets(chosen, batch, builder, places)}))

        def bake(names: list[str], builder: str = builder, definition: Path = definition) -> str:
            arguments = ["bake", "-f", definition.name, "--progress=plain", "--provenance=false"]
            arguments += [f"--allow={name}" for name in ALLOWED]
            if builder == "ours":
                done = ours.run(*arguments, *names, cwd=root, check=False)
            else:
                done = theirs.buildx(*arguments, *names, cwd=root)
            return "" if done.returncode == 0 else done.stderr

        started = time.monotonic()
        # One that fails stops the others; alone each shows what is the matter with it.
        whole = bake([name for case in chosen if not case.fails for name in _names(case)])
        for case in chosen:
            if whole or case.fails:
                error = bake(_names(case))
                if error:
                    batch.errors[builder, case.id] = error
        print(f"{builder}: {len(chosen)} cases in {time.monotonic() - started:.1f} s")
    return batch


def _names(case: Case) -> list[str]:
    return [case.target, f"{case.target}-dated"] if case.dated else [case.target]


def _targets(
    chosen: Sequence[Case], batch: Batch, builder: str, places: dict[str, str]
) -> dict[str, dict[str, object]]:
    targets = {}
    for case in chosen:
        context = f"contexts/{case.target}"
        values = places | {"CONTEXT": context}
        text = re.sub(r"\$([A-Z]+)\b", lambda match, values=values: values[match[1]], json.dumps(case.fields))
        plain: dict[str, object] = {"context": context} | json.loads(text)
        for name in _names(case):
            dated = name != case.target
            attributes = "type=oci" + (",rewrite-timestamp=true" if dated else "")
            dest = batch.image(builder, case, "dated" if dated else "plain")
            target = plain | {"output": [f"{attributes},dest={dest}"]}
            if dated:
                args = plain.get("args", {})
                assert isinstance(args, dict)
                target["args"] = args | {"SOURCE_DATE_EPOCH": str(EPOCH)}
            targets[name] = target
    return targets
