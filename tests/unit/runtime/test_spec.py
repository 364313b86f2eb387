"""The runtime configuration of a step (engine.md §23)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakehouse.runtime import Step, StepMount
from bakehouse.runtime.cgroups import CgroupLayout, Cgroups
from bakehouse.runtime.seccomp import default_profile
from bakehouse.runtime.spec import ALL_CAPABILITIES, DEFAULT_CAPABILITIES, Machine, Placement, build_spec
from bakehouse.runtime.users import StepUser

ROOT = StepUser(0, 0, (0,), "/root")
MACHINE = Machine(
    cgroups=Cgroups(CgroupLayout.UNIFIED, usable=True, hierarchies=("/sys/fs/cgroup",)),
    in_user_namespace=False,
    machine="x86_64",
    kernel=(6, 1),
    possible_cpus=(0, 1),
    capabilities=ALL_CAPABILITIES,
    seccomp=True,
)
PLACE = Placement("id-1", Path("/r"), Path("/h"), Path("/c"))


def spec_of(
    machine: Machine = MACHINE, place: Placement = PLACE, user: StepUser = ROOT, **fields: Any
) -> Any:
    return build_spec(Step(args=("true",), rootfs=Path("/r"), **fields), user, machine, place)


def test_a_step_has_the_default_capabilities_and_nothing_inheritable() -> None:
    spec = spec_of()
    assert spec["process"]["capabilities"] == {
        name: list(DEFAULT_CAPABILITIES) for name in ("bounding", "effective", "permitted")
    }
    assert spec["process"]["noNewPrivileges"] is False
    assert len(DEFAULT_CAPABILITIES) == 14


def test_mounts_are_containerds_without_run_and_in_buildkits_order() -> None:
    spec = spec_of(mounts=(StepMount("tmpfs", None, "/t", ("nosuid",)),))
    assert [mount["destination"] for mount in spec["mounts"]] == [
        *("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"),
        *("/etc/resolv.conf", "/etc/hosts", "/sys/fs/cgroup", "/t"),
    ]


def test_a_later_mount_takes_the_place_of_a_default_one() -> None:
    spec = spec_of(mounts=(StepMount("tmpfs", None, "/dev/shm", ("size=1",)),))
    shm = [mount for mount in spec["mounts"] if mount["destination"] == "/dev/shm"]
    assert [mount["options"] for mount in shm] == [["size=1"]]
    assert spec["mounts"].index(shm[0]) == 3


def test_shm_is_64_mib_unless_asked_otherwise() -> None:
    assert "size=67108864" in spec_of()["mounts"][3]["options"]
    assert "size=1024" in spec_of(shm_size=1024)["mounts"][3]["options"]


def test_home_comes_from_passwd_unless_set() -> None:
    assert spec_of()["process"]["env"] == ["HOME=/root"]
    assert spec_of(env=("HOME=/x", "A=1", "A=2"))["process"]["env"] == ["HOME=/x", "A=2"]
    assert spec_of(user=StepUser(5, 5, (5,), None))["process"]["env"] == ["HOME=/"]


def test_networks() -> None:
    def network(place: Placement) -> list[Any]:
        return [n for n in spec_of(place=place)["linux"]["namespaces"] if n["type"] == "network"]

    assert network(PLACE) == [{"type": "network"}]
    assert network(replace(PLACE, netns="/proc/1/fd/9")) == [{"type": "network", "path": "/proc/1/fd/9"}]
    assert network(replace(PLACE, host_network=True)) == []


def test_a_cgroup_namespace_is_made_on_v2_only() -> None:
    kinds = [n["type"] for n in spec_of()["linux"]["namespaces"]]
    assert kinds == ["pid", "ipc", "uts", "mount", "network", "cgroup"]
    legacy = replace(MACHINE, cgroups=Cgroups(CgroupLayout.LEGACY, usable=True))
    assert "cgroup" not in [n["type"] for n in spec_of(legacy)["linux"]["namespaces"]]


def test_without_a_device_controller_a_root_step_may_not_make_devices() -> None:
    bare = replace(MACHINE, cgroups=Cgroups(CgroupLayout.NONE, usable=False))
    spec = spec_of(bare)
    assert "CAP_MKNOD" not in spec["process"]["capabilities"]["bounding"]
    assert "cgroupsPath" not in spec["linux"]
    assert "/sys/fs/cgroup" not in [mount["destination"] for mount in spec["mounts"]]


def test_the_group_of_a_step() -> None:
    assert spec_of()["linux"]["cgroupsPath"] == "/bakehouse/id-1"
    assert spec_of(cgroup_parent="/ci/jobs")["linux"]["cgroupsPath"] == "/ci/jobs/bakehouse/id-1"
    assert spec_of(cgroup_parent="my.slice:")["linux"]["cgroupsPath"] == "my.slice:id-1"


def test_an_insecure_step_is_unfiltered() -> None:
    spec = spec_of(security="insecure")
    assert spec["process"]["capabilities"]["ambient"] == list(ALL_CAPABILITIES)
    assert "seccomp" not in spec["linux"]
    assert (spec["linux"]["maskedPaths"], spec["linux"]["readonlyPaths"]) == ([], [])
    assert "rw" in next(m for m in spec["mounts"] if m["destination"] == "/sys")["options"]
    assert {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229} in spec["linux"]["devices"]


def test_a_user_namespace_on_the_hosts_network_has_no_sys() -> None:
    rootless = replace(MACHINE, in_user_namespace=True, cgroups=Cgroups(CgroupLayout.UNIFIED, usable=False))
    spec = spec_of(rootless, replace(PLACE, host_network=True))
    assert not [m for m in spec["mounts"] if m["destination"].startswith("/sys")]
    assert not [path for path in spec["linux"]["maskedPaths"] if path.startswith("/sys")]


def test_unlimited_ulimits_become_the_largest_number() -> None:
    spec = spec_of(ulimits=(("nofile", 10, 20), ("core", -1, -1)))
    assert spec["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20},
        {"type": "RLIMIT_CORE", "soft": 2**64 - 1, "hard": 2**64 - 1},
    ]


@pytest.mark.parametrize(
    ("machine", "count"), [("x86_64", 377), ("aarch64", 381), ("s390x", 378), ("riscv64", 376)]
)
def test_the_profile_has_as_many_rules_as_mobys(machine: str, count: int) -> None:
    """Counts of (call, action, arguments) in moby/profiles/seccomp 0.2.3 for the default capabilities."""
    rules: Any = default_profile(DEFAULT_CAPABILITIES, machine, (6, 1))["syscalls"]
    triples = {(name, rule["action"], str(rule.get("args"))) for rule in rules for name in rule["names"]}
    assert len(triples) == count


def test_x32_is_left_out_where_the_kernel_has_none() -> None:
    assert default_profile((), "x86_64", (6, 1), x32=False)["architectures"] == [
        "SCMP_ARCH_X86_64",
        "SCMP_ARCH_X86",
    ]
