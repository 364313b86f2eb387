"""Limits of a step's control group: what is asked of the runtime, what is there, and that they hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.needs import needs_root
from tests.unit.runtime.conftest import run_step
from tests.unit.runtime.test_spec import MACHINE, spec_of

from bakehouse.errors import EnvironmentFault
from bakehouse.runtime import OciRuntime
from bakehouse.runtime.cgroups import CgroupLayout, Cgroups, missing_controllers
from bakehouse.runtime.step import StepLimits

ALL = frozenset({"memory", "cpu", "cpuset"})


def test_only_what_is_limited_stands_in_the_spec() -> None:
    limits = StepLimits(memory=1 << 20, memory_swap=-1, cpu_shares=2, cpu_quota=3, cpuset_cpus="0-1")
    resources = spec_of(limits=limits)["linux"]["resources"]
    assert resources["memory"] == {"limit": 1 << 20, "swap": -1}
    assert resources["cpu"] == {"shares": 2, "quota": 3, "cpus": "0-1"}
    assert set(spec_of()["linux"]["resources"]) == {"devices"}


def test_controllers_that_limits_need() -> None:
    assert StepLimits().controllers == frozenset()
    assert StepLimits(memory_swap=-1).controllers == {"memory"}
    assert StepLimits(cpu_period=1, cpuset_mems="0").controllers == {"cpu", "cpuset"}


def test_controllers_that_are_there() -> None:
    legacy = Cgroups(
        CgroupLayout.LEGACY, usable=True, hierarchies=("/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory")
    )
    assert missing_controllers(legacy, ALL) == ["cpuset"]
    assert missing_controllers(legacy, frozenset()) == []
    assert missing_controllers(replace(legacy, usable=False), ALL) == ["cpu", "cpuset", "memory"]


@needs_root
@pytest.mark.privileged
def test_limits_need_their_controllers(runtime: OciRuntime, rootfs: Path) -> None:
    """A limit that nobody would keep is an error, before anything runs."""
    runtime._machine = replace(MACHINE, cgroups=Cgroups(CgroupLayout.NONE, usable=False))
    with pytest.raises(EnvironmentFault) as caught:
        run_step(runtime, rootfs, "touch", "/ran", limits=StepLimits(memory=1 << 20, cpuset_cpus="0"))
    assert caught.value.code == "limits-impossible"
    assert "cpuset, memory" in caught.value.message
    assert not (rootfs / "ran").exists()
