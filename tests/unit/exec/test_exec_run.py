"""Steps on real layers: mounts, outputs, secrets, agents, caches, and what reaches the layer."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.exec.conftest import Builder

from bakehouse.errors import CancelledError, DeniedError, ExecutionError, NotFoundError
from bakehouse.llb.ops import (
    MOUNT_CACHE,
    MOUNT_SECRET,
    MOUNT_SSH,
    MOUNT_TMPFS,
    CacheOpt,
    CdiDevice,
    Mount,
    ProxyEnv,
    SecretEnv,
    SecretOpt,
)
from bakehouse.session import Secret, Session
from bakehouse.solver.model import Cancellation

pytestmark = pytest.mark.privileged
Building = Callable[..., None]


def cache(id: str, sharing: int = 0, dest: str = "/c", input: int = -1, selector: str = "") -> Mount:
    return Mount(
        dest, input=input, selector=selector, output=-1, mount_type=MOUNT_CACHE, cache=CacheOpt(id, sharing)
    )


def _with_file(root: Path) -> None:
    (root / "file").write_text("data")


def _overlays(below: Path) -> list[str]:
    """Mount points of overlays below a directory, as this thread sees them."""
    lines = Path("/proc/thread-self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if " - overlay " in line and f" {below}/" in line]


def test_a_step_yields_one_layer_with_what_it_wrote(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()
        (result,) = builder.run("echo hi > /new; rm /bin/touch", inputs=[base])
        assert result.chain().layers[:-1] == base.chain().layers
        assert builder.entries(result) == ["bin", "bin/.wh.touch", "new"]

    building(body)


def test_a_step_that_writes_nothing_yields_the_empty_layer(building: Building) -> None:
    """The digest of an empty layer tar (dockerfile.md §8.1), though hosts and resolv.conf stood in /etc."""

    def body(builder: Builder) -> None:
        (result,) = builder.run("true", inputs=[builder.base()])
        assert builder.entries(result) == []
        assert builder.layers.diff_id(result.chain().layers[-1]) == (
            "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
        )

    building(body)


def test_mount_points_never_reach_the_layer(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()
        other = builder.tree(_with_file)
        mounts = (
            Mount("/deep/er/mp", input=1, output=-1, readonly=True),
            Mount("/deep/file", input=1, selector="/file", output=-1, readonly=True),
            Mount("/t/mp", output=-1, mount_type=MOUNT_TMPFS, tmpfs_size=65536),
            cache("k", dest="/var/cache/x"),
        )
        script = "cat /deep/er/mp/file /deep/file; touch /t/mp/x /t/own /var/cache/x/y"
        (result,) = builder.run(script, mounts, [base, other])
        assert builder.log() == "datadata"
        assert builder.entries(result) == ["t", "t/own"]

    building(body)


def test_writes_to_a_mount_without_output_are_thrown_away(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()
        other = builder.tree(_with_file)
        mounts = (Mount("/m", input=1, output=-1),)
        builder.run("echo changed > /m/file; cat /m/file", mounts, [base, other])
        builder.run("cat /m/file", mounts, [base, other])
        assert builder.log() == "changed\ndata"

    building(body)


def test_outputs_follow_the_order_of_mounts(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()
        other = builder.tree(_with_file)
        mounts = (
            Mount("/scratch", output=1),
            Mount("/ro", input=1, output=2, readonly=True),
            Mount("/gone", input=1, output=-1),
            Mount("/rw", input=1, output=3),
        )
        results = builder.run("touch /scratch/a /rw/b /gone/c /root", mounts, [base, other])
        assert builder.entries(results[0]) == ["root"]
        assert builder.entries(results[1]) == ["a"]
        assert results[2] == other
        assert builder.entries(results[3]) == ["b"]
        assert len(results) == 4

    building(body)


def test_a_selector_never_leads_out_of_its_tree(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()

        def fill(root: Path) -> None:
            os.symlink("/../../../../etc", root / "out")
            (root / "etc").mkdir()
            (root / "etc/inside").write_text("in")

        other = builder.tree(fill)
        builder.run("ls /m", [Mount("/m", input=1, selector="/out", output=-1, readonly=True)], [base, other])
        assert builder.log() == "inside\n"
        with pytest.raises(NotFoundError) as caught:
            builder.run("true", [Mount("/m", input=1, selector="/no", output=-1)], [base, other])
        assert caught.value.code == "mount-source-missing"

    building(body)


def test_a_failing_step_says_so_in_buildkits_words(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()
        with pytest.raises(ExecutionError) as caught:
            builder.run('echo "why"; exit 7', inputs=[base])
        error = caught.value
        assert str(error) == (
            'process "/bin/sh -c echo \\"why\\"; exit 7" did not complete successfully: exit code: 7'
        )
        assert (error.exit_code_of_step, error.log_tail, error.code) == (7, ("why",), "step-failed")
        builder.run("exit 7", inputs=[base], valid_exit_codes=(7,))
        with pytest.raises(ExecutionError, match="exit code: 0"):
            builder.run("exit 0", inputs=[base], valid_exit_codes=(7,))
        with pytest.raises(
            ExecutionError, match="unable to find user who: no matching entries in passwd file"
        ):
            builder.run("true", inputs=[base], user="who")

    building(body)


def test_environment(building: Building) -> None:
    session = Session(secrets={"k": Secret("k", value=b"hush")})

    def body(builder: Builder) -> None:
        builder.run(
            "env",
            inputs=[builder.base()],
            args=("/bin/env",),
            env=("A=1",),
            proxy_env=ProxyEnv(http_proxy="http://p", no_proxy="x"),
            op={"secret_env": (SecretEnv("k", "KEY"), SecretEnv("absent", "NONE", optional=True))},
        )
        assert builder.log().splitlines() == [
            "A=1",
            *("HTTP_PROXY=http://p", "http_proxy=http://p", "NO_PROXY=x", "no_proxy=x"),
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *("KEY=hush", "NONE=", "HOME=/"),
        ]

    building(body, session)


def test_secrets_are_files_in_memory_that_leave_no_trace(building: Building) -> None:
    session = Session(secrets={"k": Secret("k", value=b"hush")})

    def body(builder: Builder) -> None:
        base = builder.base()
        mounts = (
            Mount("/run/secrets/k", mount_type=MOUNT_SECRET, secret=SecretOpt("k", uid=5, gid=6, mode=0o440)),
            Mount("/run/secrets/none", mount_type=MOUNT_SECRET, secret=SecretOpt("none", optional=True)),
        )
        script = (
            "cat /run/secrets/k; stat -c ' %a %u %g' /run/secrets/k; ls /run/secrets; touch /run/secrets/k"
        )
        with pytest.raises(ExecutionError):
            builder.run(script, mounts, [base])
        assert builder.log().startswith("hush 440 5 6\nk\n")
        assert "Read-only file system" in builder.log()
        (result,) = builder.run("true", mounts, [base])
        assert builder.entries(result) == []
        assert list(builder.runtime().scratch().files.iterdir()) == []
        missing = Mount("/s", mount_type=MOUNT_SECRET, secret=SecretOpt("none"))
        with pytest.raises(NotFoundError, match="secret none: not found"):
            builder.run("true", [missing], [base])

    building(body, session)


def test_an_agent_appears_as_a_socket_of_the_steps_own(building: Building, tmp_path: Path) -> None:
    agent = tmp_path / "agent"

    def body(builder: Builder) -> None:
        base = builder.base()
        mount = Mount("/run/ssh", mount_type=MOUNT_SSH, ssh=SecretOpt("default", mode=0o600, uid=7))
        builder.run("stat -c '%a %u %F' /run/ssh", [mount], [base])
        assert builder.log() == "600 7 socket\n"
        absent = Mount("/s", mount_type=MOUNT_SSH, ssh=SecretOpt("other"))
        with pytest.raises(NotFoundError, match='no SSH key "other" forwarded from the client'):
            builder.run("true", [absent], [base])
        builder.run("true", [replace(absent, ssh=SecretOpt("other", optional=True))], [base])
        assert list(builder.runtime().scratch().files.iterdir()) == []

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(agent))
        building(body, Session(ssh={"default": agent}))


def test_caches_persist_by_id(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()
        builder.run("echo one >> /c/f", [cache("id")], [base])
        builder.run("echo two >> /d/f; cat /d/f", [cache("id", dest="/d")], [base])
        builder.run("ls /c", [cache("other")], [base])
        assert builder.log() == "one\ntwo\n"
        rows = [row for row in builder.store.usage() if row.record_type == "exec.cachemount"]
        assert len(rows) == 2
        assert rows[0].description == 'cached mount /c from exec /bin/sh -c echo one >> /c/f with id "id"'

    building(body)


def test_a_cache_starts_with_its_seed(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()

        def fill(root: Path) -> None:
            (root / "cache").mkdir(mode=0o700)
            os.chown(root / "cache", 12, 34)
            (root / "cache/file").write_text("seed")

        seed = builder.tree(fill)
        mount = cache("id", input=1, selector="/cache")
        builder.run("stat -c '%a %u %g' /c; cat /c/file; echo x > /c/file", [mount], [base, seed])
        builder.run("cat /c/file", [mount], [base, seed])
        assert builder.log() == "700 12 34\nseedx\n"

    building(body)


def test_two_mounts_of_a_locked_cache_in_one_step_are_one_directory(building: Building) -> None:
    def body(builder: Builder) -> None:
        mounts = [cache("id", 2), cache("id", 2, dest="/d")]
        builder.run("echo x > /c/f; cat /d/f", mounts, [builder.base()])
        assert builder.log() == "x\n"

    building(body)


def test_ignoring_the_cache_discards_it_once_a_build(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()
        mounts = [cache("id")]
        builder.run("touch /c/old", mounts, [base])
        builder.run("ls /c; touch /c/new", mounts, [base], ignore_cache=True)
        builder.run("ls /c", mounts, [base], ignore_cache=True)
        assert builder.log() == "new\n"

    building(body)


def test_cancelling_a_step_leaves_nothing(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()
        before = len(builder.store.usage())
        cancel = Cancellation()
        timer = threading.Timer(0.2, cancel.cancel)
        timer.start()
        with pytest.raises(CancelledError):
            builder.run("sleep 60", [Mount("/m", input=0, output=1)], [base], cancel=cancel)
        timer.join()
        assert len(builder.store.usage()) == before
        assert _overlays(builder.store.root) == []

    building(body)


def test_beyond_the_sandbox_needs_a_grant(building: Building) -> None:
    def body(builder: Builder) -> None:
        builder.options = replace(builder.options, entitlements=frozenset({"network.host"}))
        base = builder.base()
        builder.run("true", inputs=[base], op={"network": 1})
        with pytest.raises(DeniedError, match=r"security\.insecure is not allowed"):
            builder.run("true", inputs=[base], op={"security": 1})

    building(body)


def test_a_required_device_is_refused_by_name(building: Building) -> None:
    def body(builder: Builder) -> None:
        base = builder.base()
        builder.run("true", inputs=[base], op={"cdi_devices": (CdiDevice("v/c=d", optional=True),)})
        with pytest.raises(NotFoundError, match='required device "v/c=d" is not registered'):
            builder.run("true", inputs=[base], op={"cdi_devices": (CdiDevice("v/c=d"),)})

    building(body)
