"""How the expected values of the differential cases are made: every expression becomes one definition that a real
buildx prints. Run as a program with BAKEHOUSE_BUILDX set to the path of buildx to record the cases anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CASES = Path(__file__).parent / "cases"


def expressions() -> list[str]:
    """The expressions of the case file, comments left out."""
    lines = (CASES / "expressions.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def definition(expression: str) -> str:
    """A definition whose target's only argument is the expression, as JSON where it is no string."""
    return f'v = {expression}\ntarget "t" {{\n  args = {{ x = jsonencode(v) }}\n}}\n'


def print_with_buildx(buildx: str, text: str, filename: str = "f.hcl") -> dict[str, str]:
    """`{"value": JSON}` or `{"error": message}` as buildx gives it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, filename).write_text(text)
        command = [buildx, "bake", "--print", "-f", filename, "t"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        shown = json.loads(done.stdout)["target"]["t"]["args"]["x"]
        return {"value": _unescape(shown)}
    message = done.stderr[done.stderr.index("ERROR: ") + 7 :].rstrip("\n")
    return {"error": message}


def record_files(buildx: str) -> None:
    """Write `files-recorded.json`: what buildx says to every definition of `files.json`."""
    files: dict[str, str] = json.loads((CASES / "files.json").read_text())
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda item: print_arguments(buildx, *item), files.items())
        recorded = dict(zip(files, results, strict=True))
    (CASES / "files-recorded.json").write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")


def print_arguments(buildx: str, name: str, text: str) -> dict[str, object]:
    """`{"args": …}` of the target `t`, or `{"error": message}`, as buildx gives it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(text.encode())
        command = [buildx, "bake", "--print", "-f", name, "t"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        args = json.loads(done.stdout)["target"]["t"].get("args", {})
        return {"args": {key: _unescape(value) for key, value in args.items()}}
    return {"error": done.stderr[done.stderr.index("ERROR: ") + 7 :].rstrip("\n")}


def _unescape(text: str) -> str:
    return text.replace("$${", "${").replace("%%{", "%{")


def record(buildx: str) -> None:
    """Write `expressions.json`."""
    texts = expressions()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda text: print_with_buildx(buildx, definition(text)), texts))
    recorded = [{"expression": text, **result} for text, result in zip(texts, results, strict=True)]
    (CASES / "expressions.json").write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if "BAKEHOUSE_BUILDX" not in os.environ:
        sys.exit("set BAKEHOUSE_BUILDX to the path of buildx")
    record(os.environ["BAKEHOUSE_BUILDX"])
    record_files(os.environ["BAKEHOUSE_BUILDX"])
