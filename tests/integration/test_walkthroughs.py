"""The documentation's own examples, built and run: D1, D2, D3, B3, B5, E1, E2 of the promises."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support import bases
from tests.support.command import Bakehouse
from tests.support.images import read_image
from tests.support.services import free_port, stop

pytestmark = pytest.mark.privileged


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def fetch(url: str, process: subprocess.Popen[bytes], timeout_s: float = 30) -> str:
    """What `url` answers once the server behind it has come up."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                data: bytes = response.read()
                return data.decode()
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None:
                assert process.stderr is not None
                raise AssertionError(f"the image ended: {process.stderr.read().decode()}") from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_flask_walk_through_answers_on_its_port(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """D3, with the packages of the distribution."""
    port = free_port()
    context = write(
        tmp_path / "app",
        {
            "Dockerfile": (
                "# syntax=docker/dockerfile:1\n"
                "FROM debian:bookworm-slim\n"
                "\n"
                "# install app dependencies\n"
                "RUN apt-get update && apt-get install -y --no-install-recommends python3-flask\n"
                "\n"
                "# install app\n"
                "COPY hello.py /\n"
                "\n"
                "# final configuration\n"
                "ENV FLASK_APP=hello\n"
                "EXPOSE 8000\n"
                f'CMD ["flask", "run", "--host", "127.0.0.1", "--port", "{port}"]\n'
            ),
            "hello.py": (
                "from flask import Flask\n"
                "app = Flask(__name__)\n"
                "\n"
                '@app.route("/")\n'
                "def hello():\n"
                '    return "Hello World!"\n'
            ),
        },
    )
    bakehouse.run("build", "-t", "test:latest", ".", cwd=context, timeout=600)
    process = bakehouse.start("run", "test:latest")
    try:
        assert fetch(f"http://127.0.0.1:{port}/", process) == "Hello World!"
    finally:
        stop(process)
    # The second build of anything: every step is a cache hit (G3).
    again = bakehouse.run("build", "-t", "test:latest", "--progress=plain", ".", cwd=context)
    assert again.stderr.count("CACHED") == 2, again.stderr


def test_static_hello_world_from_scratch(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """D2 and E2: a C program, linked statically, as the only file of an image."""
    context = write(
        tmp_path / "hello",
        {
            "hello.c": '#include <stdio.h>\nint main(void) { puts("Hello from scratch!"); return 0; }\n',
            "Dockerfile": 'FROM scratch\nADD hello /\nCMD ["/hello"]\n',
        },
    )
    subprocess.run(["gcc", "-static", "-o", "hello", "hello.c"], cwd=context, check=True)
    image = tmp_path / "image.tar"
    bakehouse.run(
        "build", "-t", "hello", "-o", f"type=oci,dest={image}", "-o", "type=image", ".", cwd=context
    )
    assert list(read_image(image).files) == ["hello"]
    assert bakehouse.run("run", "hello").stdout == "Hello from scratch!\n"


def test_multi_stage_example_compiles_and_leaves_the_compiler_behind(
    bakehouse: Bakehouse, tmp_path: Path
) -> None:
    """D1: numeric and named --from, an image as source, a stage as base, and --target."""
    context = write(
        tmp_path / "app",
        {
            "main.c": '#include <stdio.h>\nint main(void) { puts("multi-stage"); return 0; }\n',
            "Dockerfile": (
                "FROM debian:bookworm-slim AS build\n"
                "RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev\n"
                "WORKDIR /src\n"
                "COPY main.c .\n"
                "RUN gcc -static -o /bin/hello main.c\n"
                "FROM build AS check\n"
                "RUN /bin/hello > /checked\n"
                "FROM scratch\n"
                "COPY --from=0 /bin/hello /bin/hello\n"
                "COPY --from=check /checked /checked\n"
                "COPY --from=nginx:latest /etc/nginx/nginx.conf /nginx.conf\n"
                'CMD ["/bin/hello"]\n'
            ),
        },
    )
    image = tmp_path / "image.tar"
    bakehouse.run(
        "build",
        "-t",
        "multi",
        "-o",
        f"type=oci,dest={image}",
        "-o",
        "type=image",
        ".",
        cwd=context,
        timeout=600,
    )
    assert sorted(read_image(image).files) == ["bin", "bin/hello", "checked", "nginx.conf"]
    assert bakehouse.run("run", "multi").stdout == "multi-stage\n"
    bakehouse.run("build", "--target", "build", "-t", "only-build", ".", cwd=context)
    assert "gcc" in bakehouse.run("run", "only-build", "gcc", "--version").stdout


def test_shared_context_target_is_read_and_copied_once(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """B5: two targets that use the files of a third one."""
    context = write(
        tmp_path / "shared",
        {
            "docker-bake.hcl": (
                'group "default" { targets = ["target1", "target2"] }\n'
                'target "ctx" {\n  context = "."\n  target = "ctx"\n}\n'
                'target "target1" {\n  contexts = { ctx = "target:ctx" }\n  target = "target1"\n'
                '  output = ["type=oci,dest=one.tar"]\n}\n'
                'target "target2" {\n  contexts = { ctx = "target:ctx" }\n  target = "target2"\n'
                '  output = ["type=oci,dest=two.tar"]\n}\n'
            ),
            "Dockerfile": (
                "FROM scratch AS ctx\nCOPY files/ .\n"
                "FROM busybox AS target1\nWORKDIR /foo\nRUN --mount=from=ctx,target=/in cat /in/a > one\n"
                "FROM busybox AS target2\nWORKDIR /foo\nRUN --mount=from=ctx,target=/in cat /in/a > two\n"
            ),
            "files/a": "shared\n",
        },
    )
    done = bakehouse.run("bake", "--progress=rawjson", cwd=context)
    vertexes = [
        v
        for line in done.stderr.splitlines()
        if line.startswith("{")
        for v in json.loads(line).get("vertexes", ())
    ]
    copies = {v["digest"] for v in vertexes if "COPY files/" in v["name"]}
    contexts = {v["digest"] for v in vertexes if "load build context" in v["name"]}
    assert len(copies) == 1
    assert len(contexts) == 1
    assert "foo/one" in read_image(context / "one.tar").files
    assert "foo/two" in read_image(context / "two.tar").files


def test_linked_target_is_built_though_it_was_not_named(bakehouse: Bakehouse, tmp_path: Path) -> None:
    """B3: `FROM baseapp` with `baseapp = "target:base"`; nothing passes through a registry."""
    context = write(
        tmp_path / "links",
        {
            "docker-bake.hcl": (
                'target "base" { dockerfile = "base.Dockerfile" }\n'
                'target "app" {\n  contexts = { baseapp = "target:base" }\n  tags = ["app"]\n}\n'
            ),
            "base.Dockerfile": "FROM busybox\nRUN echo from-base > /base\nENV FROM_BASE=yes\nUSER bob\n",
            "Dockerfile": 'FROM baseapp\nUSER root\nRUN cp /base /app\nCMD echo "$(cat /app) $FROM_BASE"\n',
        },
    )
    bakehouse.run("bake", "app", cwd=context)
    assert bakehouse.run("run", "app").stdout == "from-base yes\n"
    assert "base" not in bakehouse.run("images").stdout


def test_root_tree_imported_as_image_runs(offline: Bakehouse, tmp_path: Path) -> None:
    """E1: the tree that mmdebstrap made, as a tar stream on standard input."""
    debian = next(base for base in bases.IMAGES if base.key == "debian")
    layout = bases.layout(debian)
    manifest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    document = json.loads((layout / "blobs/sha256" / manifest.partition(":")[2]).read_text())
    layer = layout / "blobs/sha256" / document["layers"][0]["digest"].partition(":")[2]
    offline.run("import", "-", "mydebian:1", input=layer.read_bytes())
    assert "Debian" in offline.run("run", "mydebian:1", "cat", "/etc/os-release").stdout
    context = write(
        tmp_path / "c",
        {"Dockerfile": "FROM mydebian:1\nRUN . /etc/os-release && echo $ID > /id\nCMD cat /id\n"},
    )
    offline.run("build", "-t", "derived", ".", cwd=context)
    assert offline.run("run", "derived").stdout == "debian\n"
