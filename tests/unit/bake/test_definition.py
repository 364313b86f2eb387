"""What the API gives beyond the printed definition: hints, codes, findings, copies."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest

from bakehouse.bake import Definition, LoadOptions, load, print_json
from bakehouse.bake.remote import RemoteTree
from bakehouse.diagnostics import DiagnosticsError
from bakehouse.errors import BakehouseError, NotFoundError


def _load(folder: Path, text: str, **environ: str) -> Definition:
    (folder / "docker-bake.hcl").write_text(text)
    return load(LoadOptions(cwd=str(folder), environ=environ))


def test_an_unknown_target_gets_a_suggestion(tmp_path: Path) -> None:
    definition = _load(tmp_path, 'target "webserver" {}')
    for ask in (["webserve"], ["webserver", "webservr"]):
        with pytest.raises(NotFoundError) as caught:
            definition.resolve(ask)
        assert caught.value.code == "unknown-target"
        assert caught.value.hint == 'Did you mean "webserver"?'


def test_an_unknown_override_key_gets_a_suggestion(tmp_path: Path) -> None:
    definition = _load(tmp_path, 'target "a" {}')
    with pytest.raises(BakehouseError) as caught:
        definition.resolve(["a"], ["a.outputs=x"])
    assert caught.value.code == "invalid-override"
    assert caught.value.hint == 'Did you mean "output"?'


def test_all_findings_are_collected_and_the_message_is_of_the_first_step(tmp_path: Path) -> None:
    text = 'variable "x" { default = unknown_one }\nvariable "y" { default = unknown_two }\ntarget "a" {}\n'
    with pytest.raises(DiagnosticsError) as caught:
        _load(tmp_path, text)
    assert [finding.detail for finding in caught.value.diagnostics] == [
        'There is no variable named "unknown_one".',
        'There is no variable named "unknown_two".',
    ]
    assert caught.value.message.startswith("docker-bake.hcl:1,26-37: Unknown variable")
    assert "other diagnostic" not in caught.value.message


def test_a_finding_shows_its_source(tmp_path: Path) -> None:
    with pytest.raises(DiagnosticsError) as caught:
        _load(tmp_path, 'target "a" {\n  tags = [\n    zz\n  ]\n}\n')
    assert caught.value.excerpt == (
        'docker-bake.hcl:3\n--------------------\n   1 |     target "a" {\n   2 |       tags = [\n'
        "   3 | >>>     zz\n   4 |       ]\n   5 |     }\n--------------------"
    )


def test_resolving_twice_gives_the_same_and_leaves_the_definition_alone(tmp_path: Path) -> None:
    text = 'target "a" {\n tags = ["x", "x"]\n output = ["type=image"]\n secret = ["id=s,env=A"]\n}\n'
    text += 'target "b" { inherits = ["a"] }\n'
    definition = _load(tmp_path, text)
    plain = print_json(definition.resolve(["a", "b"]))
    sets = ["b.push=true", "b.secret.s=env=B", "b.tags+=y"]
    resolved = definition.resolve(["a", "b"], sets)
    # Changes to a child never show on its parent, whose entries it inherited.
    assert resolved.targets["a"].output == definition.targets["a"].output
    assert [secret.env for secret in resolved.targets["a"].secret or ()] == ["A"]
    assert [secret.env for secret in resolved.targets["b"].secret or ()] == ["B"]
    assert print_json(definition.resolve(["a", "b"])) == plain


def test_unset_collections_of_resolved_targets_are_empty(tmp_path: Path) -> None:
    target = _load(tmp_path, 'target "a" {}').resolve(["a"]).targets["a"]
    assert (target.tags, target.args, target.output, target.description) == ([], {}, [], "")
    assert (target.pull, target.network, target.resources) == (None, None, None)
    assert (target.context, target.dockerfile, target.linked) == (".", "Dockerfile", False)


def test_linked_targets_are_marked(tmp_path: Path) -> None:
    text = 'target "a" { contexts = { b = "target:b" } }\ntarget "b" {}\n'
    targets = _load(tmp_path, text).resolve(["a"]).targets
    assert list(targets) == ["a", "b"]
    assert [targets["a"].linked, targets["b"].linked] == [False, True]


def test_deep_inheritance_and_many_users_of_one_base(tmp_path: Path) -> None:
    blocks = ['target "t0" { args = { v = "0" } }']
    blocks += [f'target "t{i}" {{ inherits = ["t{i - 1}"] }}' for i in range(1, 100)]
    targets = _load(tmp_path, "\n".join(blocks)).resolve(["t99", "t50"]).targets
    assert targets["t99"].args == targets["t50"].args == {"v": "0"}


def test_what_is_nested_too_deeply_is_refused_and_no_crash(tmp_path: Path) -> None:
    chain = [f'target "t{i}" {{ inherits = ["t{i + 1}"] }}' for i in range(3000)]
    definition = _load(tmp_path, "\n".join([*chain, 'target "t3000" {}']))
    with pytest.raises(BakehouseError) as caught:
        definition.resolve(["t0"])
    assert caught.value.code == "too-deeply-nested"
    variables = [f'variable "v{i}" {{ default = v{i + 1} }}' for i in range(3000)]
    with pytest.raises(BakehouseError) as caught:
        _load(tmp_path, "\n".join([*variables, 'variable "v3000" {}']))
    assert caught.value.code == "too-deeply-nested"


class FakeTree(RemoteTree):
    """A tree in memory."""

    def __init__(self, files: dict[str, str], *, is_directory: bool = True) -> None:
        super().__init__("https://example.com/x.git#r", is_directory=is_directory)
        self.files = files

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        if not self.is_directory:
            return dict.fromkeys(names, self.files[""].encode())
        return {name: self.files[name].encode() for name in names if name in self.files}

    def context_url(self, path: str) -> str:
        return f"{self.url}:{path}"


def test_files_of_a_remote_tree_come_first_and_contexts_are_mapped_to_it(tmp_path: Path) -> None:
    (tmp_path / "local.hcl").write_text('target "a" { args = { v = "local" } }')
    tree = FakeTree(
        {"docker-bake.hcl": 'target "a" { args = { v = "remote" } }\ntarget "b" { context = "./d/../e" }'}
    )
    options = LoadOptions(
        cwd=str(tmp_path), environ={}, files=["cwd://local.hcl", "docker-bake.hcl"], tree=tree
    )
    definition = load(options)
    assert definition.file_names == ["local.hcl"]
    targets = definition.resolve(["a", "b"]).targets
    assert targets["a"].args == {"v": "local"}
    assert (targets["a"].context, targets["a"].tree_path) == (tree.url, ".")
    assert (targets["b"].context, targets["b"].tree_path) == (f"{tree.url}:e", "e")


def test_contexts_of_a_single_remote_file_stay_local(tmp_path: Path) -> None:
    tree = FakeTree({"": 'target "a" { context = "d/" }'}, is_directory=False)
    definition = load(LoadOptions(cwd=str(tmp_path), environ={}, files=["ignored.hcl"], tree=tree))
    target = definition.resolve(["a"]).targets["a"]
    assert (target.context, target.tree_path) == ("d", None)


def test_a_remote_tree_without_definitions_says_where_it_looked(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "a" {}')
    with pytest.raises(NotFoundError) as caught:
        load(LoadOptions(cwd=str(tmp_path), environ={}, tree=FakeTree({})))
    assert caught.value.code == "no-definition"
    assert "https://example.com/x.git#r" in (caught.value.hint or "")


def test_compose_files_of_a_remote_tree(tmp_path: Path) -> None:
    """Contexts are mapped to the tree; files that a service names are the caller's, and known to whoever grants."""
    outside = tmp_path / "outside.env"
    outside.write_text("SECRET=s\n")
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    tree = FakeTree(
        {
            "compose.yaml": "services:\n  web:\n    build:\n      context: ./app\n      args: [SECRET]\n"
            "    env_file: ../outside.env\n",
            "docker-bake.hcl": 'target "web" { tags = ["t"] }',
        }
    )
    definition = load(LoadOptions(cwd=str(cwd), environ={}, tree=tree))
    target = definition.resolve().targets["web"]
    assert (target.context, target.tree_path, target.tags) == (f"{tree.url}:app", "app", ["t"])
    assert definition.compose is not None
    assert [str((cwd / name).resolve()) for name in definition.compose.files] == [str(outside)]


def test_the_platform_can_be_lent(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "a" { args = { p = BAKE_LOCAL_PLATFORM } }')
    options = LoadOptions(cwd=str(tmp_path), environ={}, local_platform="linux/arm64/v8")
    assert load(options).resolve(["a"]).targets["a"].args == {"p": "linux/arm64/v8"}


def test_the_clock_can_be_lent(tmp_path: Path) -> None:
    text = """variable "STAMP" { default = formatdate("YYYY-MM-DD", timestamp()) }
target "a" { args = { stamp = STAMP, now = timestamp() } }
"""
    (tmp_path / "docker-bake.hcl").write_text(text)
    lent = load(LoadOptions(cwd=str(tmp_path), environ={}, now=lambda: 1_600_000_000.9)).resolve(["a"])
    assert lent.targets["a"].args == {"stamp": "2020-09-13", "now": "2020-09-13T12:26:40Z"}
    before = int(time.time())
    own = load(LoadOptions(cwd=str(tmp_path), environ={})).resolve(["a"]).targets["a"].args or {}
    assert before <= datetime.fromisoformat(own["now"]).timestamp() <= time.time()


def test_the_home_directory_is_the_environments_or_the_users(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "a" { args = { home = homedir() } }')
    for environ, wanted in (({"HOME": "/h"}, "/h"), ({}, pwd.getpwuid(os.getuid()).pw_dir)):
        resolved = load(LoadOptions(cwd=str(tmp_path), environ=environ)).resolve(["a"])
        assert resolved.targets["a"].args == {"home": wanted}


def test_start_up_does_not_import_what_printing_does_not_need(tmp_path: Path) -> None:
    (tmp_path / "docker-bake.hcl").write_text('target "a" { tags = ["x"] }')
    code = (
        "import sys, os; from bakehouse.bake import LoadOptions, load, print_json; "
        "print_json(load(LoadOptions(cwd=os.getcwd(), environ={})).resolve(['a'])); "
        "print([m for m in ('dataclasses', 'typing', 'pathlib', 'subprocess', 'json', 'decimal') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
