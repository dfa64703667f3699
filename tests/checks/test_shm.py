"""checks/shm.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limits, SharedMemory
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.facts.torch import TorchInstall
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS

FILE = CHECKS / "shm.py"
GIB = 1 << 30
SMALL = Limits(shm=SharedMemory(64 << 20, 60 << 20))
TWO_ON_THE_BUS = PciDevices(tuple(PciDevice(vendor="0x10de", kind="gpu") for _ in range(2)))

CASES = [
    Case(
        "docker's default",
        (Limits(shm=SharedMemory(64 << 20, 60 << 20)), Host(container="docker")),
        {"shm-too-small": "warning"},
    ),
    Case(
        "a pod",
        (Limits(shm=SharedMemory(64 << 20, 64 << 20)), Host(container="kubernetes")),
        {"shm-too-small": "warning"},
    ),
    Case("bare metal, full", (Limits(shm=SharedMemory(32 * GIB, 1 << 20)), Host()), {"shm-too-small": "warning"}),
    Case("plenty", (Limits(shm=SharedMemory(32 * GIB, 30 * GIB)), Host(), Gpus(count=8))),
    Case("4 GiB for one GPU", (Limits(shm=SharedMemory(4 * GIB, 4 * GIB)), Host(), Gpus(count=1))),
    Case("unreadable is neither fine nor an error", (Limits(shm=SharedMemory(error="Permission denied")), Host())),
    Case("no limits on this platform", (Missing("limits", "not-supported"), Host())),
    Case("docker's default for 8 GPUs", (SMALL, Host(container="docker"), Gpus(count=8)), {"shm-too-small": "error"}),
    Case("two GPUs that only the bus tells of", (SMALL, Host(), TWO_ON_THE_BUS), {"shm-too-small": "error"}),
    Case(
        "no GPU, and torch on the CPU",
        (SMALL, Host(), PciDevices(), TorchInstall(version="2.13.0+cpu")),
        {"shm-too-small": "warning"},
    ),
    Case("neither GPU nor torch", (SMALL, Host(container="docker"), PciDevices()), {"shm-too-small": "note"}),
    Case(
        "4 GiB for 8 GPUs",
        (Limits(shm=SharedMemory(4 * GIB, 4 * GIB)), Host(), Gpus(count=8)),
        {"shm-too-small": "note"},
    ),
    Case(
        "4 GiB for 8 GPUs in podman",
        (Limits(shm=SharedMemory(4 * GIB, 4 * GIB)), Host(container="podman"), Gpus(count=8)),
        {"shm-too-small": "note"},
    ),
    Case("an LXC container", (SMALL, Host(container="lxc")), {"shm-too-small": "warning"}),
    Case("apptainer", (SMALL, Host(container="apptainer")), {"shm-too-small": "warning"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("about", "command"),
    [
        ("docker's default", "docker run --shm-size=16g ..."),
        ("a pod", "volumes: [{name: shm, emptyDir: {medium: Memory, sizeLimit: 16Gi}}]"),
        ("bare metal, full", "fuser -v /dev/shm/* ; ls -l /dev/shm"),
        ("4 GiB for 8 GPUs", "sudo mount -o remount,size=50% /dev/shm"),
        ("4 GiB for 8 GPUs in podman", "podman run --shm-size=16g ..."),
        ("an LXC container", "findmnt /dev/shm"),
        ("apptainer", "sudo mount -o remount,size=50% /dev/shm"),
    ],
)
def test_the_command_fits_the_situation(about: str, command: str) -> None:
    (finding,) = next(case for case in CASES if case.about == about).assert_holds(FILE)
    assert (finding.command or finding.look) == command


@pytest.mark.parametrize(
    ("limits", "said"),
    [(SMALL, "0.1 GB, 0.1 GB free"), (Limits(shm=SharedMemory(error="x")), None)],
)
def test_the_topic_s_line(limits: Limits, said: str | None) -> None:
    found = topic_file(FILE).summary
    assert found is not None
    told = found.line(limits)
    assert (told and told[0].say("en", told[1])) == said
