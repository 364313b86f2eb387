"""What of a target reaches the frontend and the session, without building anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bakehouse.bake import Output, SecretEntry, Target
from bakehouse.builders.context import context_identity, read_dockerfile, require_directory
from bakehouse.builders.display import prefixed
from bakehouse.builders.frontend_options import extra_hosts
from bakehouse.builders.lending import Lender
from bakehouse.builders.loading import Loads, find_loader, is_load
from bakehouse.builders.main_context import BuildDirectories
from bakehouse.builders.plan import PlannedTarget, Planner
from bakehouse.builders.sessions import compatible_groups, linked_first
from bakehouse.builders.settings import read_settings
from bakehouse.errors import (
    BakehouseError,
    DefinitionError,
    EnvironmentFault,
    NotBuiltYetError,
    NotFoundError,
)
from bakehouse.oci.platform import Platform
from bakehouse.progress.events import null_reporter


class NoImages:
    """A resolver for Dockerfiles that use no image."""

    def resolve_image_config(
        self, ref: str, platform: Platform | None, mode: str, *, log_name: str = "", oci_store: str = ""
    ) -> tuple[str, str, bytes]:
        raise AssertionError(f"{ref} was looked up")


def target(name: str, **fields: object) -> Target:
    made = Target(name)
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def planned(tmp_path: Path, *targets: Target) -> dict[str, PlannedTarget]:
    planner = Planner(
        {item.name: item for item in targets},
        BuildDirectories(tmp_path),
        NoImages(),
        null_reporter(),
        [Platform.local()],
    )
    return planner.plan()


USES = 'FROM scratch\nCOPY x /\nRUN --mount=type=secret,id=t ["/x"]\n'
IDLE = "FROM scratch\nCOPY x /\n"


def secret(value: str) -> list[SecretEntry]:
    return [SecretEntry("t", env=value)]


def grouped(tmp_path: Path, *targets: Target) -> list[tuple[list[str], dict[str, bytes | None]]]:
    """(names, what each secret id is) of the parts."""
    groups = compatible_groups(planned(tmp_path, *targets), Lender({"A": "a", "B": "b"}, tmp_path))
    return [(names, {id: session.secret(id) for id in session.secrets}) for names, session in groups]


def test_equal_secrets_share_a_session_and_different_ones_do_not(tmp_path: Path) -> None:
    one = target("one", dockerfile_inline=USES, secret=secret("A"))
    same = target("same", dockerfile_inline=USES, secret=secret("A"))
    other = target("other", dockerfile_inline=USES, secret=secret("B"))
    assert grouped(tmp_path, one, same, other) == [(["one", "same"], {"t": b"a"}), (["other"], {"t": b"b"})]


def test_a_secret_is_not_lent_to_a_target_that_has_none(tmp_path: Path) -> None:
    lent = target("lent", dockerfile_inline=USES, secret=secret("A"))
    without = target("without", dockerfile_inline=USES)
    idle = target("idle", dockerfile_inline=IDLE)
    assert grouped(tmp_path, lent, without, idle) == [(["lent", "idle"], {"t": b"a"}), (["without"], {})]
    assert grouped(tmp_path, without, lent) == [(["without"], {}), (["lent"], {"t": b"a"})]


def test_steps_of_a_linked_target_need_no_secret_of_the_user(tmp_path: Path) -> None:
    base = target("base", dockerfile_inline=USES, secret=secret("A"))
    app = target("app", dockerfile_inline="FROM base\nCOPY x /y\n", contexts={"base": "target:base"})
    assert grouped(tmp_path, app, base) == [(["base", "app"], {"t": b"a"})]
    assert linked_first(planned(tmp_path, app, base)) == ["base", "app"]


def test_no_agent_at_all(tmp_path: Path) -> None:
    from bakehouse.bake import parse_sshs

    with pytest.raises(DefinitionError, match="invalid empty ssh agent socket"):
        grouped(tmp_path, target("x", dockerfile_inline=IDLE, ssh=parse_sshs(["default"])))


def test_missing_secret_file(tmp_path: Path) -> None:
    wanted = target("x", dockerfile_inline=IDLE, secret=[SecretEntry("t", src="nofile")])
    with pytest.raises(NotFoundError, match="failed to stat nofile: stat nofile: no such file or directory"):
        grouped(tmp_path, wanted)


def test_hosts() -> None:
    """buildx's rules: several addresses, brackets around IPv6 ones."""
    made = target("x", extra_hosts={"One": "10.0.0.1,[::1]", "two": "fe80::1"})
    assert extra_hosts(made) == (("one", "10.0.0.1"), ("one", "::1"), ("two", "fe80::1"))
    with pytest.raises(DefinitionError, match="invalid host x:nowhere"):
        extra_hosts(target("x", extra_hosts={"x": "nowhere"}))
    with pytest.raises(NotBuiltYetError, match="host-gateway"):
        extra_hosts(target("x", extra_hosts={"x": "host-gateway"}))


def test_cgroup_parent_and_names(tmp_path: Path) -> None:
    from bakehouse.llb.ops import ExecOp

    made = target("x", dockerfile_inline='FROM scratch\nRUN ["/x"]\n')
    directories = BuildDirectories(tmp_path, cgroup_parent="/slice")
    plan = Planner({"x": made}, directories, NoImages(), null_reporter(), [Platform.local()]).plan()
    edge = plan["x"].lowered.platforms[0].edge
    assert edge is not None
    assert isinstance(edge.vertex.op, ExecOp)
    assert edge.vertex.op.meta.cgroup_parent == "/slice"
    # As buildx names the steps of several targets.
    assert prefixed("app", "[internal] load .dockerignore") == "[app internal] load .dockerignore"
    assert prefixed("app", "exporting to image") == "[app] exporting to image"


def test_dockerfiles_and_ignore_files(tmp_path: Path) -> None:
    (tmp_path / "dockerfile").write_text("FROM scratch\n")
    (tmp_path / ".dockerignore").write_text("a\n")
    found = read_dockerfile(tmp_path, Path("Dockerfile"))
    assert (found.name, found.ignore_name, found.ignore) == ("dockerfile", ".dockerignore", b"a\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch AS upper\n")
    (tmp_path / "Dockerfile.dockerignore").write_text("b\n")
    found = read_dockerfile(tmp_path, Path("Dockerfile"))
    assert (found.data, found.ignore) == (b"FROM scratch AS upper\n", b"b\n")
    with pytest.raises(
        NotFoundError, match="failed to read dockerfile: open other: no such file or directory"
    ):
        read_dockerfile(tmp_path, Path("other"))
    (tmp_path / "big").write_bytes(b"#" * (16 * 1024 * 1024 + 1))
    with pytest.raises(DefinitionError, match="big exceeds maximum allowed size of 16777216"):
        read_dockerfile(tmp_path, Path("big"))


def test_contexts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dir").mkdir()
    assert require_directory(tmp_path, "dir") == tmp_path / "dir"
    with pytest.raises(NotFoundError, match='unable to prepare context: path "none" not found'):
        require_directory(tmp_path, "none")
    with pytest.raises(DefinitionError, match='path "file" is not a directory'):
        require_directory(tmp_path, "file")
    (tmp_path / "link").symlink_to("dir")
    assert context_identity(tmp_path / "link", b"") == context_identity(tmp_path / "dir", b"")
    assert context_identity(tmp_path / "dir", b"a") != context_identity(tmp_path / "dir", b"")


def test_container_engines(tmp_path: Path) -> None:
    programs = {"PATH": str(tmp_path)}
    assert find_loader(programs) is None
    with pytest.raises(EnvironmentFault, match="docker context far"):
        find_loader(programs, "far")
    (tmp_path / "podman").write_text("#!/bin/sh\n")
    (tmp_path / "podman").chmod(0o755)
    found = find_loader(programs)
    assert found is not None
    assert (found.name, found.argv) == ("podman", (f"{tmp_path}/podman", "load"))
    (tmp_path / "docker").write_text('#!/bin/sh\ntest "$1 $2 $3" = "--context far version"\n')
    (tmp_path / "docker").chmod(0o755)
    found = find_loader(programs, "far")
    assert found is not None
    assert found.argv == (f"{tmp_path}/docker", "--context", "far", "load")
    assert find_loader(programs).name == "podman"  # type: ignore[union-attr]
    assert is_load(Output("docker"))
    assert not is_load(Output("docker", "x.tar"))
    assert not is_load(Output("oci"))


def test_loads_that_find_no_engine_leave_a_note(tmp_path: Path) -> None:
    loads = Loads({"x": target("x", output=[Output("docker")])}, {"PATH": str(tmp_path)}, start_now=True)
    assert "neither Docker nor Podman" in loads.note
    loads.close()
    assert Loads({"x": target("x", output=[Output("image")])}, {"PATH": ""}, start_now=True).note == ""


def test_settings(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    environ = {"BAKEHOUSE_CONFIG": str(config)}
    settings = read_settings(environ, root_user=False, home=Path("/home/u"))
    assert settings.store_root == Path("/home/u/.local/share/bakehouse")
    assert read_settings(environ, root_user=True, home=Path("/root")).store_root == Path("/var/lib/bakehouse")
    config.write_text(
        'root = "/s"\nmax-parallelism = 3\nmax-unpacked = "2MiB"\n[registry."docker.io"]\nmirrors = ["m:1"]\n'
    )
    settings = read_settings(environ, root_user=False, home=Path("/home/u"))
    assert (settings.store_root, settings.max_parallelism) == (Path("/s"), 3)
    assert (settings.max_download, settings.max_unpacked) == (None, 1 << 21)
    assert settings.registries.host("docker.io").mirrors == ("m:1",)
    assert read_settings(
        environ | {"BAKEHOUSE_ROOT": "/e"}, root_user=False, home=Path("/")
    ).store_root == Path("/e")
    for text in (
        "rot = 1\n",
        "max-parallelism = 0\n",
        'max-download = "much"\n',
        "max-unpacked = 0\n",
        "max-unpacked = true\n",
        "snapshotter = 'zfs'\n",
        "registry = 1\n",
        "x = \n",
        '[registry."a"]\nmirror = []\n',
        '[registry."a"]\nhttp = "yes"\n',
    ):
        config.write_text(text)
        with pytest.raises(BakehouseError) as caught:
            read_settings(environ, root_user=False, home=Path(os.sep))
        assert caught.value.code == "invalid-settings"
