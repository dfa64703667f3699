"""envdoctor/patient/rdma.py, against made-up sysfs trees. No RDMA hardware was there to confirm them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from envdoctor import decode
from envdoctor.facts.rdma import Rdma
from envdoctor.patient import children, rdma, reading
from envdoctor.patient.sections import NotHere

NOTHING = "0000:0000:0000:0000:0000:0000:0000:0000"
DEFAULT = "fe80:0000:0000:0000:0e42:a1ff:fe00:0001"
MAPPED = "0000:0000:0000:0000:0000:ffff:0a00:000b"


class Machine:
    """A folder that stands for / on a machine with RDMA."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def device(self, name: str, pci: str, state: str = "4: ACTIVE", link_layer: str = "Ethernet", node: int = 0) -> str:
        card = f"/sys/devices/pci0000:16/{pci}"
        self.write(card + "/numa_node", "1\n")
        (self.root / "sys/bus/pci/drivers/mlx5_core").mkdir(parents=True, exist_ok=True)
        link = self.root / card.lstrip("/") / "driver"
        link.symlink_to(self.root / "sys/bus/pci/drivers/mlx5_core")
        (self.root / card.lstrip("/") / "net" / f"eth{node}").mkdir(parents=True)
        folder = f"/sys/class/infiniband/{name}"
        self.write(folder + "/fw_ver", "28.39.1002\n")
        self.write(folder + "/board_id", "MT_0000000838\n")
        self.write(folder + "/node_type", "1: CA\n")
        (self.root / folder.lstrip("/") / "device").symlink_to(self.root / card.lstrip("/"))
        port = folder + "/ports/1"
        self.write(port + "/state", state + "\n")
        self.write(port + "/phys_state", "5: LinkUp\n")
        self.write(port + "/link_layer", link_layer + "\n")
        self.write(port + "/rate", "400 Gb/sec (4X NDR)\n")
        self.write(port + "/counters/link_downed", "3\n")
        self.write(port + "/hw_counters/local_ack_timeout_err", "0\n")
        self.write(f"/sys/class/infiniband_verbs/uverbs{node}/ibdev", name + "\n")
        return port

    def gid(self, port: str, index: int, gid: str, sort: str | None, netdev: str = "eth0") -> None:
        self.write(f"{port}/gids/{index}", gid + "\n")
        if sort is not None:
            self.write(f"{port}/gid_attrs/types/{index}", sort + "\n")
            self.write(f"{port}/gid_attrs/ndevs/{index}", netdev + "\n")

    def observe(self) -> Rdma:
        told = decode.fact("rdma", rdma.rdma(None))  # type: ignore[arg-type]
        assert isinstance(told, Rdma)
        return told


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    monkeypatch.setattr(
        children, "ask", lambda function, limit_s: ("ok", {"libibverbs": "libibverbs.so.1", "offered": ["mlx5_0"]})
    )
    return Machine(tmp_path)


def test_a_roce_device(machine: Machine) -> None:
    port = machine.device("mlx5_0", "0000:17:00.0")
    machine.gid(port, 0, DEFAULT, "IB/RoCE v1")
    machine.gid(port, 3, MAPPED, "RoCE v2")
    machine.gid(port, 4, NOTHING, None)
    machine.gid(port, 10, "2001:0db8:0000:0000:0000:0000:0000:000b", "RoCE v2", "eth0.7")
    machine.write("/dev/infiniband/uverbs0", "")
    machine.write("/dev/infiniband/rdma_cm", "")
    machine.write("/sys/module/nvidia_peermem/version", "570.86.15\n")
    told = machine.observe()
    (device,) = told.devices
    assert (device.name, device.pci, device.driver, device.numa_node) == ("mlx5_0", "0000:17:00.0", "mlx5_core", 1)
    assert (device.firmware, device.board, device.node_type) == ("28.39.1002", "MT_0000000838", "CA")
    assert (device.netdevs, device.node, device.node_error) == (("eth0",), "/dev/infiniband/uverbs0", "")
    (found,) = device.ports
    assert (found.state, found.physical_state, found.link_layer, found.rate_gbps) == (
        "ACTIVE",
        "LinkUp",
        "Ethernet",
        400,
    )
    assert found.counters == {"link_downed": 3, "local_ack_timeout_err": 0}
    assert [(gid.index, gid.address, gid.version) for gid in found.gids] == [
        (0, "fe80::e42:a1ff:fe00:1", 1),
        (3, "10.0.0.11", 2),
        (10, "2001:db8::b", 2),
    ]
    assert told.peer_memory == ("/sys/module/nvidia_peermem/version",)
    assert told.rdma_cm == "" and told.offered == ("mlx5_0",)
    assert device.usable and told.fastest_gbps == 400


def test_a_slot_that_is_not_mapped_into_the_container(machine: Machine) -> None:
    """The kernel answers EINVAL there; a folder, which cannot be read either, stands for it."""
    port = machine.device("mlx5_0", "0000:17:00.0")
    machine.gid(port, 3, MAPPED, None)
    (machine.root / f"{port}/gid_attrs/types/3".lstrip("/")).mkdir(parents=True)
    (gid,) = machine.observe().devices[0].ports[0].gids
    assert (gid.index, gid.type, gid.version) == (3, "", None)


def test_a_container_that_sees_the_device_and_lacks_its_node(machine: Machine) -> None:
    machine.device("mlx5_0", "0000:17:00.0")
    told = machine.observe()
    assert told.devices[0].node_error == "absent"
    assert told.rdma_cm == "absent"
    assert not told.devices[0].usable


def test_a_node_that_may_not_be_opened(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root opens everything that the device control group does not forbid: the refusal is the kernel's in its place."""
    machine.device("mlx5_0", "0000:17:00.0")
    machine.write("/dev/infiniband/uverbs0", "")
    real = os.open

    def refuse(path: str, flags: int) -> int:
        if path.endswith("uverbs0"):
            raise PermissionError(1, "Operation not permitted")
        return real(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    assert machine.observe().devices[0].node_error == "denied: Operation not permitted"


def test_a_device_in_use_elsewhere(machine: Machine) -> None:
    machine.device("mlx5_0", "0000:17:00.0")
    (machine.root / "dev/infiniband/uverbs0").mkdir(parents=True)
    assert machine.observe().devices[0].node_error == "Is a directory"


def test_ports_that_are_down_and_states_of_all_kinds(machine: Machine) -> None:
    machine.device("mlx5_0", "0000:17:00.0", "1: DOWN", "InfiniBand")
    machine.device("mlx5_1", "0000:18:00.0", "2: INIT", "InfiniBand", node=1)
    told = machine.observe()
    assert [device.ports[0].state for device in told.devices] == ["DOWN", "INIT"]
    assert told.active == () and told.fastest_gbps == 0


def test_no_rdma(machine: Machine) -> None:
    with pytest.raises(NotHere, match="absent"):
        rdma.rdma(None)  # type: ignore[arg-type]
    (machine.root / "sys/class/infiniband").mkdir(parents=True)
    with pytest.raises(NotHere, match="empty"):
        rdma.rdma(None)  # type: ignore[arg-type]


def test_a_library_that_hangs(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.device("mlx5_0", "0000:17:00.0")
    monkeypatch.setattr(children, "ask", lambda function, limit_s: ("slow", "futex"))
    told = machine.observe()
    assert (told.libibverbs, told.libibverbs_error, told.offered) == ("", "slow: futex", None)


LIBRARY = """
static char device[] = "mlx5_0";
static void *list[2];
void **ibv_get_device_list(int *count) { list[0] = device; *count = 1; return list; }
const char *ibv_get_device_name(void *each) { return each; }
"""


def test_what_libibverbs_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    from tests import needs

    compiler = needs.program("cc", "gcc")
    (tmp_path / "verbs.c").write_text(LIBRARY)
    library = tmp_path / "libibverbs-fake.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(tmp_path / "verbs.c")], check=True)
    monkeypatch.setenv("NCCL_IBVERBS_LIB", str(library))
    assert rdma.user_space() == {"libibverbs": str(library), "offered": ["mlx5_0"]}


def test_without_libibverbs(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    def refuse(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    told = rdma.user_space()
    assert told["offered"] is None
    assert told["libibverbs_error"] == "libibverbs.so.1: cannot open shared object file"


@pytest.mark.parametrize(
    ("text", "gbps"),
    [("200 Gb/sec (4X HDR)", 200), ("2.5 Gb/sec (1X SDR)", 2.5), ("", None), (None, None), ("?", None)],
)
def test_rate(text: str | None, gbps: float | None) -> None:
    assert rdma.rate(text) == gbps
    assert rdma.named("4: ACTIVE") == "ACTIVE" and rdma.named(None) == ""
