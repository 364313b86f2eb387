"""Records what real buildx answers to the cases of this folder: run `python record.py [CASE…]`.

A case is a folder `<section>/<name>/` with definition files, `cmd` (arguments after `bake`, one a line), optionally
`env` (NAME=value lines), `stdin` (what standard input holds), and the recorded answer: `expected.json` or
`expected.txt` (standard output) or `expected.err` (the first ERROR line; where buildx answers at random, every line
that it may give, written by hand). A `difference.md` says why ours differs on purpose; the answer that we give instead
then stands in `ours.json` or `ours.err`, written by hand. buildx's path comes from BAKEHOUSE_BUILDX. Cases that exist
keep their answer unless they are named or `--all` is given.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ANSWERS = ("expected.json", "expected.txt", "expected.err")


def case_folders(root: Path = ROOT) -> list[Path]:
    return sorted(path.parent for path in root.glob("*/*/cmd"))


def arguments(case: Path) -> list[str]:
    return (case / "cmd").read_text().splitlines()


def environment(case: Path) -> dict[str, str]:
    path = case / "env"
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split("=", 1) for line in lines)


def run_buildx(buildx: str, case: Path) -> tuple[str, str]:
    """Standard output and the first ERROR line (empty on success) of buildx in the case's folder."""
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": os.defpath, "HOME": home, "DOCKER_CONFIG": home, **environment(case)}
        stdin = case / "stdin"
        done = subprocess.run(
            [buildx, "bake", *arguments(case)],
            cwd=case,
            env=env,
            input=stdin.read_bytes() if stdin.exists() else b"",
            capture_output=True,
            timeout=60,
            check=False,
        )
    errors = [line for line in done.stderr.decode().splitlines() if line.startswith("ERROR: ")]
    if done.returncode != 0 and not errors:
        raise RuntimeError(f"{case}: buildx ended with {done.returncode}: {done.stderr.decode()[-300:]}")
    return done.stdout.decode(), errors[0] if errors else ""


def answers_of(case: Path) -> list[tuple[str, str]]:
    """The recorded standard output and ERROR line: one answer, or every one that buildx may give."""
    for name in ANSWERS:
        path = case / name
        if path.exists():
            text = path.read_text()
            return [("", line) for line in text.splitlines()] if name == "expected.err" else [(text, "")]
    raise FileNotFoundError(f"{case} has no recorded answer; run {__file__}")


def record(buildx: str, case: Path) -> None:
    out, error = run_buildx(buildx, case)
    for name in ANSWERS:
        (case / name).unlink(missing_ok=True)
    if error:
        (case / "expected.err").write_text(error + "\n")
    else:
        (case / ("expected.json" if out.lstrip()[:1] in ("{", "[", "n") else "expected.txt")).write_text(out)


def main() -> int:
    buildx = os.environ.get("BAKEHOUSE_BUILDX")
    if not buildx:
        print("set BAKEHOUSE_BUILDX to the path of buildx", file=sys.stderr)
        return 2
    named = [Path(name).resolve() for name in sys.argv[1:] if name != "--all"]
    everything = "--all" in sys.argv
    for case in case_folders():
        recorded = any((case / name).exists() for name in ANSWERS)
        if everything or case in named or (not named and not recorded):
            record(buildx, case)
            print(case.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
