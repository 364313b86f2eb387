"""Measures Bakehouse beside buildx+buildkitd, and buildah where it can do the same, and writes a report.

    python benchmarks/run.py [--rounds N] [--only NAME …] [--write docs/benchmarks.md]

Every case does the same work with every tool, the tools taking turns within a round, so that noise of the machine
hits all alike. Reported are medians of wall time, the ratio of ours to buildx's, the peak memory of our process tree's
largest process, and the size of what was exported. All files lie on tmpfs: a disk's own habits (delayed allocation,
slow inode reuse) would drown what is measured. Ours runs from a compiled, non-editable installation.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.services import BuildKit, Registry, running_buildkit, running_registry  # noqa: E402

from benchmarks.frontend import peer_lower_once, peer_match_once  # noqa: E402

OURS, BUILDX, BUILDAH = "bakehouse", "buildx", "buildah"


@dataclass
class Sample:
    """One run: wall seconds, peak resident memory of the largest process in MB (ours only), bytes exported."""

    seconds: float
    peak_mb: float = 0.0
    output_bytes: int = 0


@dataclass
class Case:
    """One kind of work. `tools` maps a tool to the function that does it once (untimed preparation included there)."""

    name: str
    title: str
    tools: dict[str, Callable[[], Sample]]
    rounds: int = 5
    warm: int = 1
    samples: dict[str, list[Sample]] = field(default_factory=dict)


class Bench:
    """The services and folders of one benchmark run."""

    def __init__(self, root: Path, registry: Registry, buildkit: BuildKit) -> None:
        self.root = root
        self.registry = registry
        self.buildkit = buildkit
        self.command = ROOT / ".cache" / "bench-venv" / "bin" / "bakehouse"
        home = root / "home"
        (home / ".config" / "bakehouse").mkdir(parents=True)
        (home / ".config" / "bakehouse" / "config.toml").write_text(
            f'[registry."docker.io"]\nmirrors = ["{registry.host}"]\n'
        )
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "BAKEHOUSE_ROOT": str(root / "store"),
            "LANG": "C.UTF-8",
        }
        # The same environment for the peers, with buildx's own state.
        self.peer_environ = {**self.environ, "BUILDX_CONFIG": str(buildkit.buildx_config)}

        self._salts = 0

    def salt(self, tool: str) -> str:
        """A text that no step and no file had before, so that nothing is found in a cache."""
        self._salts += 1
        return f"{tool}-{self._salts:08d}"

    def ours(self, *arguments: str, cwd: Path, output: Path | None = None) -> Sample:
        return self._timed([str(self.command), *arguments], cwd, self.environ, output)

    def frontend(self, work: str) -> Sample:
        """One piece of work of the frontend alone, in a process of its own that tells its time."""
        argv = [str(self.command.with_name("python")), str(ROOT / "benchmarks" / "frontend.py"), work]
        done = subprocess.run(argv, env=self.environ, capture_output=True, text=True, check=True)
        return Sample(float(done.stdout))

    def buildx(self, *arguments: str, cwd: Path, output: Path | None = None) -> Sample:
        return self._timed(
            [str(ROOT / ".cache/peers/current/buildx"), *arguments], cwd, self.peer_environ, output
        )

    def buildah(self, *arguments: str, cwd: Path, output: Path | None = None) -> Sample:
        state = self.root / "buildah"
        prefix = ["buildah", "--root", str(state / "root"), "--runroot", str(state / "run")]
        return self._timed([*prefix, "--storage-driver", "overlay", *arguments], cwd, self.environ, output)

    def _timed(self, argv: list[str], cwd: Path, environ: dict[str, str], output: Path | None) -> Sample:
        log = self.root / "last.log"
        with open(log, "wb") as sink:
            start = time.perf_counter()
            process = subprocess.Popen(
                argv, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(argv)} failed:\n{log.read_text(errors='replace')[-3000:]}")
        size = output.stat().st_size if output is not None else 0
        return Sample(seconds, usage.ru_maxrss / 1024, size)


# -- the work ------------------------------------------------------------------------------------------------------


def small_file(root: Path) -> Path:
    folder = root / "small"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "docker-bake.hcl").write_text(
        """variable "TAG" {
  default = "latest"
}

variable "REGISTRY" {
  default = "example.com/team"
}

function "image" {
  params = [name]
  result = "${REGISTRY}/${name}:${TAG}"
}

group "default" {
  targets = ["api", "web"]
}

target "_common" {
  args = {
    GO_VERSION = "1.22"
  }
  labels = { "org.opencontainers.image.vendor" = upper("team") }
}

target "api" {
  inherits = ["_common"]
  tags     = [image("api")]
}

target "web" {
  inherits = ["_common"]
  tags     = [image("web"), "web:dev"]
}
"""
    )
    return folder


def large_file(root: Path) -> Path:
    folder = root / "large"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    parts = [
        'variable "TAG" { default = "latest" }\nfunction "t" {\n  params = [n]\n  result = "r/${n}:${TAG}"\n}\n'
    ]
    parts += [
        f'target "t{n}" {{\n  context = "."\n  tags = [t("t{n}"), "x:${{TAG}}-{n}"]\n'
        f'  args = {{ N = add({n}, 1), S = upper("v{n}") }}\n}}\n'
        for n in range(1000)
    ]
    names = ", ".join(f'"t{n}"' for n in range(1000))
    parts.append(f'group "default" {{ targets = [{names}] }}\n')
    (folder / "docker-bake.hcl").write_text("".join(parts))
    return folder


def ten_services(root: Path) -> Path:
    """What a project of ten images commonly looks like."""
    folder = root / "services"
    folder.mkdir()
    names = [f"service-{n}" for n in range(10)]
    listed = ", ".join(f'"{name}"' for name in names)
    parts = [
        'variable "TAG" { default = "latest" }\nvariable "REGISTRY" { default = "example.com/team" }\n'
        f'group "default" {{ targets = [{listed}] }}\n'
        'target "_common" {\n  args = { GO_VERSION = "1.22" }\n  platforms = ["linux/amd64", "linux/arm64"]\n}\n'
    ]
    parts += [
        f'target "{name}" {{\n  inherits = ["_common"]\n  target = "{name}"\n'
        f'  tags = ["${{REGISTRY}}/{name}:${{TAG}}", notequal("", TAG) ? "${{REGISTRY}}/{name}:dev" : ""]\n'
        f'  cache-from = ["type=gha,scope={name}"]\n}}\n'
        for name in names
    ]
    (folder / "docker-bake.hcl").write_text("".join(parts))
    return folder


def thousand_of_a_matrix(root: Path) -> Path:
    folder = root / "matrix"
    folder.mkdir()
    (folder / "docker-bake.hcl").write_text(
        """variable "VERSION" { default = "1.2.3" }

function "tags" {
  params = [name]
  result = ["r/${name}:${VERSION}", "r/${name}:${join(".", slice(split(".", VERSION), 0, 2))}"]
}

target "default" {
  name = "t-${a}-${b}-${c}"
  matrix = {
    a = range(10)
    b = [for n in range(10) : "x${n}"]
    c = [for n in range(10) : "y${n}"]
  }
  args = { A = a, B = upper(b), S = substr(sha256("${a}${b}${c}"), 0, 8), F = format("%03d-%s", a, c) }
  tags = tags("t-${b}")
}
"""
    )
    return folder


def ten_thousand_targets(root: Path) -> Path:
    folder = root / "huge"
    folder.mkdir()
    parts = ['variable "TAG" { default = "latest" }\ntarget "base" { args = { V = 1 } }\n']
    parts += [
        f'target "t{n}" {{\n  inherits = ["base"]\n  target = "s{n}"\n  tags = ["r/t{n}:${{TAG}}"]\n}}\n'
        for n in range(10_000)
    ]
    parts.append('group "default" { targets = ["t0"] }\n')
    (folder / "docker-bake.hcl").write_text("".join(parts))
    return folder


def ten_targets(root: Path) -> Path:
    folder = root / "ten"
    (folder / "src").mkdir(parents=True)
    for n in range(40):
        (folder / "src" / f"f{n}.txt").write_text(f"file {n}\n" * 50)
    (folder / "Dockerfile").write_text(
        "FROM busybox\nARG N\nWORKDIR /app\nCOPY src/ src/\nRUN echo $N > n\nRUN cat src/* > all\nENV N=$N\n"
    )
    targets = "".join(f'target "t{n}" {{ args = {{ N = "{n}" }} }}\n' for n in range(10))
    names = ", ".join(f'"t{n}"' for n in range(10))
    (folder / "docker-bake.hcl").write_text(f'group "default" {{ targets = [{names}] }}\n{targets}')
    return folder


def fifty_steps(root: Path) -> Path:
    folder = root / "fifty"
    folder.mkdir()
    steps = "".join(f"RUN echo $SALT {n}\n" for n in range(50))
    (folder / "Dockerfile").write_text(f"FROM busybox\nARG SALT\n{steps}")
    (folder / "docker-bake.hcl").write_text(
        'variable "SALT" {}\ntarget "default" { args = { SALT = SALT } }\n'
    )
    return folder


def twenty_sleepers(root: Path) -> Path:
    folder = root / "twenty"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM busybox\nARG SALT\nARG N\nRUN sleep 1; echo $SALT $N\n")
    targets = "".join(f'target "t{n}" {{ args = {{ SALT = SALT, N = "{n}" }} }}\n' for n in range(20))
    names = ", ".join(f'"t{n}"' for n in range(20))
    (folder / "docker-bake.hcl").write_text(
        f'variable "SALT" {{}}\ngroup "default" {{ targets = [{names}] }}\n{targets}'
    )
    return folder


def many_files(root: Path, name: str, count: int, total_mb: int, folders: int) -> Path:
    """`count` files of equal size, `total_mb` in all, cut from what the machine's own /usr holds: programs,
    libraries, scripts, texts, images, some of them compressed, in the mixture that real images carry."""
    folder = root / name
    tree = folder / "tree"
    size = total_mb * 1_000_000 // count
    stream = real_bytes()
    for n in range(count):
        parent = tree / f"d{n % folders}"
        if n < folders:
            parent.mkdir(parents=True)
        (parent / f"f{n}.py").write_bytes(take(stream, size))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY tree /tree\n")
    return folder


def real_bytes() -> Iterator[bytes]:
    """The contents of the regular files below /usr, a piece of each in turn, in a fixed order."""
    for top in ("share", "lib", "bin", "include", "local"):
        for folder, folders, names in os.walk(f"/usr/{top}"):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        # A piece, so that no single large file is a whole layer.
                        yield file.read(256 * 1024)


_rest = bytearray()


def take(stream: Iterator[bytes], size: int) -> bytes:
    while len(_rest) < size:
        _rest.extend(next(stream))
    data = bytes(_rest[:size])
    del _rest[:size]
    return data


# -- the cases -----------------------------------------------------------------------------------------------------


def cases(bench: Bench) -> list[Case]:
    """All of them, in the order of the report."""
    root = bench.root / "work"
    root.mkdir()
    return [
        *print_cases(bench, root),
        *frontend_cases(bench),
        *step_cases(bench, root),
        *(case for shape in COPIES for case in copy_cases(bench, root, *shape)),
    ]


def print_cases(bench: Bench, root: Path) -> Iterator[Case]:
    for name, title, folder, rounds in (
        ("print-small", "`--print` of a small file", small_file(root), 15),
        ("print-10", "`--print` of 10 targets", ten_services(root), 15),
        ("print-1000", "`--print` of 1,000 targets with functions", large_file(root), 15),
        (
            "print-matrix",
            "`--print` of a matrix of 1,000 targets with functions",
            thousand_of_a_matrix(root),
            15,
        ),
        # buildx takes minutes.
        ("print-10000", "`--print` of one of 10,000 targets", ten_thousand_targets(root), 1),
    ):
        tools = {
            OURS: partial(bench.ours, "bake", "--print", cwd=folder),
            BUILDX: partial(bench.buildx, "bake", "--print", cwd=folder),
        }
        yield Case(name, title, tools, rounds=rounds, warm=0 if rounds == 1 else 1)


def frontend_cases(bench: Bench) -> Iterator[Case]:
    peers_folder = ROOT / ".cache/peers/current"
    yield Case(
        "dockerfile-300",
        "Dockerfile of 300 lines to LLB, all modules loaded (beside BuildKit's frontend)",
        {
            OURS: lambda: bench.frontend("lower"),
            BUILDX: lambda: Sample(peer_lower_once(peers_folder / "dockerfile2llb")),
        },
    )
    yield Case(
        "ignore-200",
        "100,000 paths against 200 ignore patterns (beside BuildKit's matcher)",
        {
            OURS: lambda: bench.frontend("ignore"),
            BUILDX: lambda: Sample(peer_match_once(peers_folder / "dockerfilesyntax")),
        },
        rounds=2,
        warm=0,
    )


def step_cases(bench: Bench, root: Path) -> Iterator[Case]:
    ten, fifty, twenty = ten_targets(root), fifty_steps(root), twenty_sleepers(root)
    quiet = ("--set", "*.output=type=cacheonly")

    def salted(tool: str, folder: Path) -> Sample:
        run = bench.ours if tool == OURS else bench.buildx
        return run("bake", "--var", f"SALT={bench.salt(tool)}", *quiet, cwd=folder)

    def buildah_steps() -> Sample:
        base = f"{bench.registry.host}/library/busybox"
        options = ("--isolation=chroot", "--layers", "--quiet", "--tls-verify=false", "--from", base)
        salt = f"SALT={bench.salt(BUILDAH)}"
        return bench.buildah("build", *options, "--build-arg", salt, ".", cwd=fifty)

    yield Case(
        "rebuild-10",
        "rebuild of 10 targets, nothing changed",
        {
            OURS: lambda: bench.ours("bake", *quiet, cwd=ten),
            BUILDX: lambda: bench.buildx("bake", *quiet, cwd=ten),
        },
        rounds=9,
    )
    yield Case(
        "run-50",
        "50 trivial RUN steps in a row",
        {
            OURS: lambda: salted(OURS, fifty),
            BUILDX: lambda: salted(BUILDX, fifty),
            BUILDAH: buildah_steps,
        },
        rounds=3,
    )
    yield Case(
        "parallel-20",
        "20 targets of one second each, at once",
        {OURS: lambda: salted(OURS, twenty), BUILDX: lambda: salted(BUILDX, twenty)},
        rounds=3,
    )


#: Name, number of files, size in MB, number of directories.
COPIES = (("copy-5000", 5_000, 160, 100), ("copy-100000", 100_000, 190, 1_100))


def copy_cases(
    bench: Bench, root: Path, name: str, count: int, megabytes: int, folders: int
) -> Iterator[Case]:
    folder = many_files(root, name, count, megabytes, folders)
    edited = folder / "tree" / "d1" / "f1.py"
    oci = bench.root / "out"
    oci.mkdir(exist_ok=True)

    def export(tool: str, *, edit: bool) -> Sample:
        if edit:
            with open(edited, "r+b") as file:
                file.write(f"# {bench.salt(tool)}".encode())
        target = oci / f"{tool}.tar"
        if tool == BUILDAH:
            image = f"oci-archive:{target}"
            target.unlink(missing_ok=True)
            return bench.buildah(
                "build", "--quiet", "--layers", "--tag", image, ".", cwd=folder, output=target
            )
        arguments = ("build", "--output", f"type=oci,dest={target}", "--provenance=false", ".")
        run = bench.ours if tool == OURS else bench.buildx
        return run(*arguments, cwd=folder, output=target)

    title = f"copy {count:,} files ({megabytes} MB) and export as OCI with gzip"
    if count > 50_000:
        tools = {tool: partial(export, tool, edit=False) for tool in (OURS, BUILDX)}
        yield Case(f"{name}-same", f"{title}, nothing changed", tools, rounds=3)
    tools = {tool: partial(export, tool, edit=True) for tool in (OURS, BUILDX, BUILDAH)}
    yield Case(f"{name}-edited", f"{title}, one file edited", tools, rounds=3)


def measure(case: Case, rounds: int | None) -> None:
    case.samples = {tool: [] for tool in case.tools}
    for turn in range(case.warm + (rounds or case.rounds)):
        for tool, run in case.tools.items():
            sample = run()
            if turn >= case.warm:
                case.samples[tool].append(sample)
        print(
            f"{case.name} {turn}: "
            + ", ".join(
                f"{tool} {samples[-1].seconds:.3f}s" for tool, samples in case.samples.items() if samples
            ),
            file=sys.stderr,
        )


def report(measured: list[Case]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`: ours beside real buildx with buildkitd, and buildah where it can do the same, taking",
        "turns in one run, on the same files, all on tmpfs. Times are medians of wall seconds; the ratio is ours to",
        "buildx's, below 1 is faster. Memory is the peak of our largest process. What is measured stands in",
        "`benchmarks/run.py`.",
        "",
        f"Machine: {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}.",
        "Peers: " + peers() + ".",
        "",
        "| work | bakehouse | buildx | buildah | ratio | peak memory | output, of buildx's |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in measured:
        ours, theirs = case.samples[OURS], case.samples[BUILDX]
        a, b = median(ours), median(theirs)
        third = f"{median(case.samples[BUILDAH]):.2f} s" if BUILDAH in case.samples else ""
        size = ""
        if ours[0].output_bytes:
            mine = statistics.median(sample.output_bytes for sample in ours)
            other = statistics.median(sample.output_bytes for sample in theirs)
            size = f"{mine / 1e6:.1f} MB, {mine / other:.2f}"
        peak = max(sample.peak_mb for sample in ours)
        lines.append(
            f"| {case.title} | {a:.3f} s | {b:.3f} s | {third} | **{a / b:.2f}** | {peak:.0f} MB | {size} |"
        )
    return "\n".join(lines) + "\n"


def peers() -> str:
    def first(*argv: str) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()

    versions = {}
    for line in (ROOT / "tests/peers/go.mod").read_text().splitlines():
        words = line.replace("require", "").split()
        if words and words[0] in ("github.com/docker/buildx", "github.com/moby/buildkit"):
            versions[words[0].rsplit("/", 1)[1]] = words[1]
    return f"buildx {versions['buildx']}, buildkitd {versions['buildkit']}, {first('buildah', '--version')}"


def median(samples: list[Sample]) -> float:
    return statistics.median(sample.seconds for sample in samples)


def _wanted(name: str, given: list[str], names: set[str]) -> bool:
    """Whether a case is among those given by name, or by the beginning of names."""
    return any(name == each or (each not in names and name.startswith(each)) for each in given)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="timed rounds of every case")
    parser.add_argument("--only", nargs="*", help="names of cases, or the beginning of names")
    parser.add_argument("--write", type=Path, help="file to write the report to")
    arguments = parser.parse_args()
    memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="bench-") as temporary:
        root = Path(temporary)
        with running_registry(root / "registry") as registry:
            registry.push_bases({"busybox"})
            with running_buildkit(root / "buildkit", registry) as buildkit:
                bench = Bench(root, registry, buildkit)
                measured = []
                every = cases(bench)
                names = {case.name for case in every}
                for case in every:
                    if not arguments.only or _wanted(case.name, arguments.only, names):
                        measure(case, arguments.rounds)
                        measured.append(case)
        shutil.rmtree(root / "buildah", ignore_errors=True)
    text = report(measured)
    if arguments.write:
        arguments.write.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
