"""Kills builds at random moments and looks at what comes after: the judge of `test_kill` and the body of `soak`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.command import Bakehouse
from tests.support.images import Image, read_image
from tests.support.services import Registry

DOCKERFILE = """\
FROM busybox AS built
COPY sources/ /sources/
ARG VARIANT
RUN --mount=type=cache,target=/cache echo {marker} >/dev/null; echo x >>/cache/log; \\
    for i in 1 2 3 4 5 6 7 8; do cat /sources/* | sha256sum >/out$i; sleep 0.01; done; echo $VARIANT >/variant
FROM busybox
COPY big/ /big/
COPY --from=built /variant /out1 /
RUN echo {marker} >/dev/null; cat /variant /out1 >/both; ln -s both /link; mkdir -m 700 /private
COPY --link --chmod=600 big/0 /linked
COPY sources/ /last/
"""


@dataclass
class Chaos:
    """One store, one context, and builds of it that are killed. `marker` is in the command line of every step."""

    bakehouse: Bakehouse
    folder: Path
    registry: Registry
    seed: int
    random: random.Random = field(init=False)
    marker: str = field(init=False)
    expected: dict[str, dict[str, object]] = field(default_factory=dict)
    length_s: float = 1.0
    killed: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.marker = f"marker-{os.getpid()}-{self.seed}-{time.monotonic_ns()}"
        context = self.context
        for name in ("sources", "big"):
            (context / name).mkdir(parents=True)
        for number in range(40):
            (context / "sources" / str(number)).write_bytes(self.random.randbytes(200))
        for number in range(6):
            (context / "big" / str(number)).write_bytes(self.random.randbytes(1_500_000))
        (context / "Dockerfile").write_text(DOCKERFILE.format(marker=self.marker))

    @property
    def context(self) -> Path:
        return self.folder / "context"

    @property
    def image(self) -> Path:
        return self.folder / "image.tar"

    def arguments(self, variant: str) -> list[str]:
        push = f"type=image,name={self.registry.host}/chaos/{variant}:latest,push=true"
        return [
            "build",
            "--progress=plain",
            f"--build-arg=VARIANT={variant}",
            f"--output=type=oci,dest={self.image}",
            f"--output={push}",
            str(self.context),
        ]

    def measure(self) -> None:
        """Builds once undisturbed: how long that takes is the range of the moments."""
        started = time.monotonic()
        self.build("measure")
        self.length_s = time.monotonic() - started

    def build(self, variant: str) -> Image:
        """A build that is left alone, and must be right."""
        self.bakehouse.run(*self.arguments(variant), timeout=120)
        image = read_image(self.image)
        found = {
            name: (entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.digest, entry.link)
            for name, entry in image.files.items()
            if not name.startswith("bin/")
        }
        expected = self._expected(variant)
        wrong = {
            name: (found.get(name), entry) for name, entry in expected.items() if found.get(name) != entry
        }
        assert not wrong, f"seed {self.seed}: {wrong}"
        return image

    def _expected(self, variant: str) -> dict[str, object]:
        """What the Dockerfile makes, computed here."""
        import hashlib

        def file(data: bytes, mode: int = 0o644) -> tuple[object, ...]:
            return ("file", mode, 0, 0, len(data), hashlib.sha256(data).hexdigest(), "")

        sources = {path.name: path.read_bytes() for path in (self.context / "sources").iterdir()}
        whole = b"".join(sources[name] for name in sorted(sources))
        out = hashlib.sha256(whole).hexdigest().encode() + b"  -\n"
        expected: dict[str, object] = {f"last/{name}": file(data) for name, data in sources.items()}
        for path in (self.context / "big").iterdir():
            expected[f"big/{path.name}"] = file(path.read_bytes())
        return expected | {
            "variant": file(variant.encode() + b"\n"),
            "out1": file(out),
            "both": file(variant.encode() + b"\n" + out),
            "linked": file((self.context / "big" / "0").read_bytes(), 0o600),
            "link": ("symlink", 0o777, 0, 0, 0, "", "both"),
            "private": ("dir", 0o700, 0, 0, 0, "", ""),
        }

    def kill_one(self, variant: str) -> None:
        """Starts a build and kills it with SIGKILL at a random moment of its life."""
        self.image.unlink(missing_ok=True)
        process = self.bakehouse.start(*self.arguments(variant))
        time.sleep(self.random.uniform(0.05, self.length_s * 1.1))
        if process.poll() is None:
            self.killed += 1
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        if self.image.exists():
            # An export is there whole or not at all.
            read_image(self.image)

    def round(self, number: int) -> None:
        """Kills one build, or two at once, and then builds the same thing on what they left."""
        variant = f"v{number}"
        for _ in range(self.random.choice((1, 1, 2))):
            self.kill_one(variant)
        self.build(variant)
        self.assert_clean()

    def finish(self) -> None:
        """One more build that runs steps: it sweeps what is left of the killed engines' state."""
        self.build("finish")
        self.assert_clean()
        assert list((self.bakehouse.home / "store" / "runtime" / "engines").iterdir()) == []

    def assert_clean(self) -> None:
        """Nothing of a dead process is left: temporary files, partial exports, mounts, control groups, processes."""
        store = self.bakehouse.home / "store"
        wait_for(lambda: not processes_with(self.marker), "processes of killed steps")
        wait_for(lambda: not cgroups_of(store), "control groups of killed steps")
        left = sorted(str(path.relative_to(store)) for path in (store / "tmp").rglob("*"))
        assert left == [], f"seed {self.seed}: {left}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            assert str(store) not in mounts.read()
        partial = [path.name for path in self.folder.iterdir() if path.name not in ("context", "image.tar")]
        assert partial == [], f"seed {self.seed}: {partial}"


def wait_for(condition: object, what: str, timeout_s: float = 15) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"still there: {what}"
        time.sleep(0.05)


def processes_with(text: str) -> list[int]:
    """Processes with `text` in their command line."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if text.encode() in file.read():
                        found.append(int(name))
            except OSError:
                continue
    return found


def cgroups_of(store: Path) -> list[str]:
    """Control groups of engines of this store."""
    tokens = tuple(path.name for path in (store / "runtime" / "engines").glob("*"))
    found = subprocess.run(
        ["find", "/sys/fs/cgroup", "-type", "d", "-path", "*/bakehouse/*"], capture_output=True, text=True
    ).stdout.split()
    return [path for path in found if tokens and path.rpartition("/")[2].startswith(tokens)]
