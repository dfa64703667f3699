"""The whole doctor on the lab's machines: each shows exactly its own problem, and the healthy ones none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.lab.machine import Machine, Torch
from tests.lab.machines import MACHINES
from tests.lab.stage import Stage

pytestmark = [pytest.mark.root, pytest.mark.lab]

# What the machine that runs the tests may lack says nothing about the one that is made up: limits, shared memory,
# disks, network. Everything about GPUs, driver, CUDA and torch counts.
COUNTS = (
    "driver-",
    "gpu-",
    "cuda-",
    "nvlink-",
    "fabric-",
    "mig-",
    "wsl-",
    "torch-",
    "device-",
    "library-path-",
    "p2p-",
)
# Machine -> root causes, errors and warnings alone. Consequences of a cause are folded under it and not listed.
EXPECTED: dict[str, dict[str, str]] = {
    "healthy": {},
    "mig": {},
    "mixed": {},
    "wsl": {},
    "cpu-only": {},
    "no-persistence": {},
    "one-lost": {"gpu-fell-off-bus": "error"},
    "one-hangs": {"driver-hangs": "error"},
    "one-crashes": {"gpu-needs-recovery": "error"},
    "ecc": {"gpu-ecc": "error"},
    "nvlinks-down": {"nvlink-down": "error"},
    "fabric-manager-down": {"fabric-manager-down": "error"},
    "fabric-manager-absent": {"fabric-manager-down": "error"},
    "fabric-manager-of-another-release": {"fabric-manager-down": "error"},
    "driver-470": {"driver-too-old": "error"},
    "v100-cu130": {"gpu-arch-unsupported-old": "error"},
    "5090-cu121": {"gpu-arch-unsupported-new": "error"},
    "mig-empty": {"mig-not-configured": "error"},
    "mismatch": {"driver-library-mismatch": "error"},
    "nvml-hangs": {"driver-hangs": "error"},
    "cuda-hangs": {"driver-hangs": "error"},
    "denied": {"gpu-not-visible": "error"},
    "nouveau": {"driver-missing": "error"},
    "no-driver": {"driver-missing": "error"},
    "container-without-gpus": {"gpu-not-in-container": "error"},
    "no-uvm": {"gpu-not-visible": "error"},
    "compat": {"cuda-compat-mismatch": "error"},
    "mask-empty": {"cuda-visible-devices-empty": "error"},
    "mask-invalid": {"cuda-visible-devices-invalid": "error"},
    "xid": {"gpu-xid": "error"},
    "xid-and-reset": {"gpu-xid": "error"},
    "application-xid": {},
    "two-causes": {"driver-too-old": "error", "gpu-ecc": "error"},
    "throttled": {"gpu-throttled": "warning"},
    "busy": {"gpu-busy": "warning"},
    "slow-link": {"gpu-pcie-degraded": "warning"},
    "wsl-with-a-linux-driver": {"wsl-driver": "error"},
}
NOTES = {"mixed": "device-order-differs", "no-persistence": "gpu-persistence-off"}

Setup = Callable[[Machine], Stage]
Environment = Callable[[Torch], Path]


def examined(name: str, stage: Setup, environment: Environment) -> dict[str, Any]:
    machine = MACHINES[name]
    return stage(machine).check(environment(machine.torch), user=bool(machine.denied))


def told(finding: dict[str, Any]) -> str:
    return f"{finding['severity']} {finding['code']}: {finding['title']} {finding['evidence']}"


def test_every_machine_has_its_expectation() -> None:
    assert set(EXPECTED) == set(MACHINES)


@pytest.mark.parametrize("name", MACHINES)
def test_exactly_its_problem(name: str, stage: Setup, environment: Environment) -> None:
    report = examined(name, stage, environment)
    assert report["tally"]["crashed"] == 0, [one for one in report["outcomes"] if one["status"] == "crashed"]
    found = [one for one in report["findings"] if one["code"].startswith(COUNTS) and one["severity"] != "note"]
    roots = {one["code"]: one["severity"] for one in found if one["because_of"] is None}
    assert roots == EXPECTED[name], "\n".join(told(one) for one in found)
    if name in NOTES:
        assert NOTES[name] in {one["code"] for one in report["findings"] if one["severity"] == "note"}


def test_the_readme_shows_what_is_printed(stage: Setup, environment: Environment) -> None:
    machine = MACHINES["driver-470"]
    folder = environment(machine.torch).parent.parent
    topics = ("driver", "gpu", "torch", "shm")
    # The shared memory of the machine that runs the tests may be too small.
    command = ["sh", "-c", 'mount -t tmpfs -o size=32g tmpfs /dev/shm && exec "$@"', "sh", sys.executable, "-m"]
    command += ["envdoctor", "check", *topics, "--python", str(folder), "--lang", "en"]
    printed = stage(machine).run(command).stdout.replace(str(folder), "/opt/envs/train")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("$ envdoctor check driver gpu torch shm --python /opt/envs/train\n")[2].partition("```")[0]
    # What is of the machine that runs the tests: its name, its Python, its memory, its pace.
    for pattern in (r"(?<=on )\S+(?=,)", r"3\.\d+(\.\d+)?", r"[\d.]+ GB", r"\b[\d.]+ s\b"):
        shown, printed = re.sub(pattern, "...", shown), re.sub(pattern, "...", printed)
    assert shown and printed == shown


def test_the_root_cause_comes_first(stage: Setup, environment: Environment) -> None:
    report = examined("one-lost", stage, environment)
    assert report["findings"][0]["code"] == "gpu-fell-off-bus"
    assert report["findings"][0]["because_of"] is None


def test_the_lost_gpu_is_named_by_its_address(stage: Setup, environment: Environment) -> None:
    first = examined("one-lost", stage, environment)["findings"][0]
    assert "0000:4b:00.0" in first["title"]
