"""What of Compose files cannot be seen through `--print` of a case."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.paths import ROOT

from bakehouse.bake import LoadOptions, load, print_json
from bakehouse.bake.compose import ComposeOptions, load_compose
from bakehouse.bake.compose.dotenv import parse_dotenv
from bakehouse.bake.compose.nodes import go_text
from bakehouse.bake.compose.scalars import plain
from bakehouse.bake.files import DefinitionFile
from bakehouse.errors import BakehouseError
from bakehouse.go.units import format_bytes
from bakehouse.go.values import format_float


def _print(folder: Path, files: dict[str, str], names: tuple[str, ...] = ("default",)) -> str:
    for name, text in files.items():
        (folder / name).write_text(text)
    definition = load(LoadOptions(cwd=str(folder), environ={}, files=list(files)))
    return print_json(definition.resolve(names))


_AS_HCL = """
group "default" { targets = ["api", "web"] }
target "web" {
  context    = "web"
  dockerfile = "Dockerfile.web"
  target     = "final"
  args       = { VERSION = "1.2", DEBUG = "false" }
  labels     = { team = "a" }
  tags       = ["example/web:1"]
  platforms  = ["linux/amd64", "linux/arm64"]
  contexts   = { base = "target:api", src = "lib" }
  cache-from = ["type=registry,ref=example/cache"]
  cache-to   = ["type=local,dest=cache"]
  output     = ["type=docker"]
  shm-size   = "128MiB"
  ulimits    = ["nofile=1024:2048"]
  extra-hosts = { db = "10.0.0.1" }
  no-cache   = true
  network    = "host"
  attest     = ["type=sbom"]
}
target "api" { context = "." }
"""
_AS_JSON = """{
  "group": {"default": {"targets": ["api", "web"]}},
  "target": {
    "web": {
      "context": "web", "dockerfile": "Dockerfile.web", "target": "final",
      "args": {"VERSION": "1.2", "DEBUG": "false"}, "labels": {"team": "a"}, "tags": ["example/web:1"],
      "platforms": ["linux/amd64", "linux/arm64"], "contexts": {"base": "target:api", "src": "lib"},
      "cache-from": ["type=registry,ref=example/cache"], "cache-to": ["type=local,dest=cache"],
      "output": ["type=docker"], "shm-size": "128MiB", "ulimits": ["nofile=1024:2048"],
      "extra-hosts": {"db": "10.0.0.1"}, "no-cache": true, "network": "host", "attest": ["type=sbom"]
    },
    "api": {"context": "."}
  }
}"""
_AS_COMPOSE = """
services:
  web:
    image: ignored
    build:
      context: ./web
      dockerfile: Dockerfile.web
      target: final
      args: [VERSION=1.2, DEBUG=false]
      labels: {team: a}
      tags: ["example/web:1"]
      platforms: [linux/amd64, linux/arm64]
      additional_contexts: {base: "service:api", src: ./lib}
      cache_from: ["type=registry,ref=example/cache"]
      cache_to: ["type=local,dest=cache"]
      shm_size: 128m
      ulimits: {nofile: {soft: 1024, hard: 2048}}
      extra_hosts: ["db:10.0.0.1"]
      no_cache: true
      network: host
      sbom: true
      x-bake: {output: type=docker}
  api:
    build: .
"""


def test_one_project_in_three_languages_prints_the_same(tmp_path: Path) -> None:
    hcl = _print(tmp_path, {"a.hcl": _AS_HCL})
    assert '"nofile=1024:2048"' in hcl
    assert hcl == _print(tmp_path, {"a.json": _AS_JSON}) == _print(tmp_path, {"a.yaml": _AS_COMPOSE})


def test_targets_keep_the_order_of_the_file_and_so_does_the_group() -> None:
    text = b"services: {z: {build: .}, m.n: {build: .}, a: {build: .}, q: {image: x}}"
    definition = load_compose([DefinitionFile("c.yaml", text)], ComposeOptions(cwd="/", environ={}))
    assert list(definition.targets) == ["z", "m_n", "a"]
    assert [group.targets for group in definition.groups] == [["z", "m_n", "a"]]


def test_a_warning_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "compose.yaml").write_text("services: {a: {image: 'x:$T-$T', build: ., init: 'yes'}}\n")
    definition = load(LoadOptions(cwd=str(tmp_path), environ={}, warn=told.append))
    wanted = [
        'The "T" variable is not set. Defaulting to a blank string.',
        '"yes" for boolean is not supported by YAML 1.2, please use `true`',
    ]
    assert told == wanted
    assert definition.compose is not None
    assert definition.compose.warnings == wanted


def test_an_old_form_of_external_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    text = "services: {a: {build: .}}\nvolumes: {v: {external: {name: x}}}\n"
    (tmp_path / "compose.yaml").write_text(text)
    load(LoadOptions(cwd=str(tmp_path), environ={}, warn=told.append))
    assert told == ["volumes.v: external.name is deprecated. Please set name and external: true"]


def test_the_command_shows_warnings(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {image: 'x:$T', build: .}}\n")
    done = subprocess.run(
        [sys.executable, "-m", "bakehouse", "bake", "--print"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stderr == 'WARNING: The "T" variable is not set. Defaulting to a blank string.\n'


@pytest.mark.parametrize(
    "text",
    [
        "services: {a: {build: {context: }}}",
        "services: {a: {build: {additional_contexts: {x: 5}}}}",
        "services: {a: {build: .}}\nsecrets: {s: text}",
        "services: {a: {extends: {service: b, file: 5}}}",
        "!reset {}",
        "services: {a: {build: {ulimits: {nproc: {soft: many, hard: 1}}}}}",
        "services: {a: {env_file: [{path: 5}], build: .}}",
        "services: {a: {depends_on: [[x]], build: .}}\n---\nservices: {a: {depends_on: [y]}}",
        "include: [{path: a.yaml}]\nservices: 5",
    ],
)
def test_what_crashes_the_peer_is_an_error_here(tmp_path: Path, text: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    (tmp_path / "a.yaml").write_text("services: {b: {build: .}}")
    with pytest.raises(BakehouseError) as caught:
        load(LoadOptions(cwd=str(tmp_path), environ={})).resolve(["a"])
    assert caught.value.category == "definition"


@pytest.mark.parametrize("soft", ["'1024'", "1024", "'${SOFT:-1024}'"])
def test_limits_may_come_as_text(tmp_path: Path, soft: str) -> None:
    text = f"services: {{a: {{build: {{ulimits: {{nofile: {{soft: {soft}, hard: '2048'}}}}}}}}}}"
    assert '"nofile=1024:2048"' in _print(tmp_path, {"c.yaml": text})


def test_build_that_one_file_leaves_empty_is_filled_by_another(tmp_path: Path) -> None:
    files = {
        "a.yaml": "services: {a: {image: x, build: {}}}",
        "b.yaml": "services: {a: {build: {target: t}}}",
    }
    assert '"target": "t"' in _print(tmp_path, files)


def test_expansion_of_aliases_is_limited_and_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    started = time.monotonic()
    with pytest.raises(BakehouseError, match="excessive aliasing"):
        _print(tmp_path, {"c.yaml": "\n".join(lines) + "\nservices: {a: {build: .}}\n"})
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "text", ["[" * 5000, "{a: " * 3000, "- " * 3000, "a: &a\n  <<: *a\n", "a: &a [*a]\n"]
)
def test_depth_and_cycles_end_in_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(BakehouseError):
        _print(tmp_path, {"c.yaml": text})


def test_files_reached_on_many_ways_are_loaded_once(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"f{number}.yaml").write_text(f"include: [f{number + 1}.yaml, f{number + 1}.yaml]\n")
    (tmp_path / "f40.yaml").write_text("services: {a: {build: {platforms: [linux/amd64]}}}\n")
    started = time.monotonic()
    with pytest.raises(BakehouseError, match="more than 100000 elements"):
        _print(tmp_path, {"c.yaml": "include: [f0.yaml]\n"})
    (tmp_path / "f40.yaml").write_text("services: {a: {build: {target: t}}}\n")
    assert '"target": "t"' in _print(tmp_path, {"c.yaml": "include: [f0.yaml]\n"})
    assert time.monotonic() - started < 20


def test_special_files_are_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(BakehouseError):
        _print(tmp_path, {"c.yaml": "include: [/dev/zero]\n"})
    text = "services: {a: {env_file: /dev/zero, build: .}}\n"
    with pytest.raises(BakehouseError, match="larger than"):
        _print(tmp_path, {"c.yaml": text})


def test_hcl_does_not_load_the_yaml_library(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "default" {}\n')
    (tmp_path / "other.conf").write_text('target "default" {}\n')
    code = (
        "import sys; from bakehouse.cli.main import main; main(['bake', '--print', '-f', sys.argv[1]]);"
        "sys.exit('yaml' in sys.modules or 'bakehouse.bake.compose' in sys.modules)"
    )
    for name in ("docker-bake.hcl", "other.conf"):
        done = subprocess.run(
            [sys.executable, "-c", code, name],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
            capture_output=True,
        )
        assert done.returncode == 0, name


def test_dollars_of_an_environment_file() -> None:
    text = 'A=$$x ${B:-"q"}\nC="\\$A $$A ${A}"\nD=\'$A\'\n'
    found = parse_dotenv(text, {"B": ""}.get, lambda warning: None)
    assert found == {"A": '$x "q"', "C": '$A $A $x "q"', "D": "$A"}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1B"),
        (1023, "1023B"),
        (1024, "1KiB"),
        (1000000, "976.6KiB"),
        (1 << 27, "128MiB"),
        (3 << 40, "3TiB"),
    ],
)
def test_sizes_have_four_digits(size: int, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.5, "1.5"),
        (100.0, "100"),
        (123456.0, "123456"),
        (1e6, "1e+06"),
        (1e21, "1e+21"),
        (1.25e22, "1.25e+22"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (123456789.125, "1.23456789125e+08"),
        (float("inf"), "+Inf"),
        (float("nan"), "NaN"),
        (5e-324, "5e-324"),
    ],
)
def test_floats_as_go_prints_them(value: float, text: str) -> None:
    assert format_float(value) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.1 -0500 -0500"),
        ("2001-12-14 21:59:43", "2001-12-14 21:59:43 +0000 UTC"),
        ("2001-1-2", "2001-01-02 00:00:00 +0000 UTC"),
        ("2001-02-30", "2001-02-30"),
        ("2001-12-14T21:59:43", "2001-12-14T21:59:43"),
        ("2001-12-14 21:59:43Z", "2001-12-14 21:59:43Z"),
        ("0b2", "0b2"),
        ("0x", "0x"),
        ("1__0", "10"),
        ("+0x10", "16"),
        (".", "."),
        ("+", "+"),
        ("1e400", "1e400"),
        ("9223372036854775808", "9223372036854775808"),
        ("-9223372036854775809", "-9.223372036854776e+18"),
    ],
)
def test_plain_scalars(text: str, shown: str) -> None:
    assert go_text(plain(text)) == shown
