"""The fixes that only show commands: each in the words of its findings, for the situation at hand."""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor import Finding, Missing, Plan, Problem, Severity, Text, load, said
from envdoctor.edits import by_hand
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpu, Gpus
from envdoctor.facts.host import Host, Scheduler
from envdoctor.facts.limits import Limit, Limits, SharedMemory
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.rdma import Port, Rdma, RdmaDevice
from tests.checks import test_nvlink, test_rdma_access
from tests.checks.interfaces import SIXTEEN

RDMA = Rdma((RdmaDevice("mlx5_0", ports=(Port(),)),))


def commands(name: str, *facts: object) -> list[str]:
    made: Any = load.everything().fixes[name](*facts)
    assert isinstance(made, Plan) and not made.changes
    assert all(step.why.say("en") and step.why.say("zh") for step in made.by_hand)
    return [step.command for step in made.by_hand]


SHM = Limits(SharedMemory(64 << 20, 60 << 20))


@pytest.mark.parametrize(
    ("host", "command"),
    [
        (Host(), "sudo mount -o remount,size=50% /dev/shm"),
        (Host(container="docker"), "docker run --shm-size=16g ..."),
        (Host(container="kubernetes"), "volumes: [{name: shm, emptyDir: {medium: Memory, sizeLimit: 16Gi}}]"),
    ],
)
def test_shm(host: Host, command: str) -> None:
    assert commands("shm", SHM, host, None, None, None) == [command]
    assert commands("shm", Limits(SharedMemory(64 << 30, 60 << 30)), host, None, None, None) == []


FEW = Limits(open_files=Limit(1024, 1024))


@pytest.mark.parametrize(
    ("host", "command"),
    [
        (Host(), "echo '* - nofile 65536' | sudo tee /etc/security/limits.d/90-nofile.conf"),
        (Host(container="docker"), "docker run --ulimit nofile=65536:65536 ..."),
    ],
)
def test_limits(host: Host, command: str) -> None:
    assert commands("limits", FEW, None, host, Environment()) == [command]


@pytest.mark.parametrize(
    ("host", "command"),
    [
        (Host(), "echo '* - memlock unlimited' | sudo tee /etc/security/limits.d/90-memlock.conf"),
        (Host(container="docker"), "docker run --ulimit memlock=-1 --cap-add=IPC_LOCK ..."),
        (Host(container="kubernetes"), "securityContext: {capabilities: {add: [IPC_LOCK]}}"),
        (Host(scheduler=Scheduler("slurm", "7")), "sudo systemctl edit slurmd   # [Service] LimitMEMLOCK=infinity"),
    ],
)
def test_memlock(host: Host, command: str) -> None:
    low = Limits(memlock_bytes=Limit(8 << 20, 8 << 20))
    assert commands("memlock", low, RDMA, host, Environment()) == [command]
    assert commands("limits", low, RDMA, host, Environment()) == [command]


def test_persistence() -> None:
    assert commands("persistence", Gpus(gpus=(Gpu(index=0, persistence=False),)), Host()) == ["sudo nvidia-smi -pm 1"]


@pytest.mark.parametrize("case", [case for case in test_nvlink.CASES if case.expect == test_nvlink.FABRIC], ids=str)
def test_fabric_manager(case: Any) -> None:
    known = {type(fact): fact for fact in case.facts if not isinstance(fact, Missing)}
    kinds = (Driver, Gpus, PciDevices, None, Environment, Host)
    facts = [known.get(kind, Missing("gpu", "failed") if kind is Gpus else None) for kind in kinds if kind is not None]
    if Driver not in known or "torch alone" in case.about:
        return  # torch is not imported for a fix
    shown = commands("fabric-manager", *facts[:3], None, *facts[3:])
    assert len(shown) == 1 and ("fabric" in shown[0].lower())


def test_rdma() -> None:
    facts = (test_rdma_access.NO_PEER, test_rdma_access.H100, test_rdma_access.CLOSED_DRIVER, test_rdma_access.LINUX)
    (command,) = commands("rdma", *facts, SIXTEEN)
    assert command.startswith("sudo modprobe nvidia-peermem")
    shut = commands("rdma", test_rdma_access.SHUT, None, None, Host(container="docker"), SIXTEEN)
    assert len(shut) == 1 and shut[0].startswith("docker run --device")
    assert commands("rdma", test_rdma_access.GOOD, None, None, test_rdma_access.LINUX, SIXTEEN) == []


def test_findings_without_a_command_show_what_to_look_at() -> None:
    problem = Problem(
        "odd-state", Severity.NOTE, Text("it is {what}", "状态为 {what}"), Text("w", "w"), look="ls {what}"
    )
    bare = Problem("odd", Severity.NOTE, Text("t", "t"), Text("w", "w"))
    found: list[Finding] = [problem.found(what="odd"), problem.found(what="odd"), bare.found()]
    (step,) = by_hand.plan(said("t", "t"), found).by_hand
    assert (step.command, step.why.say("en"), step.why.say("zh")) == ("ls odd", "it is odd", "状态为 odd")
