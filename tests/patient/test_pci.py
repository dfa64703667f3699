"""The PCI bus, in made-up trees and on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.pci import PciDevice, PciDevices
from envdoctor.patient import pci, reading
from envdoctor.patient.sections import Ask, NotHere

GPU = {"vendor": "0x10de", "device": "0x2330", "class": "0x030200", "numa_node": "1"}
PORT = {"vendor": "0x8086", "device": "0x352a", "class": "0x060400"}
LINK_X16 = {"current_link_width": "16", "max_link_width": "16"}
GEN5 = {"current_link_speed": "32.0 GT/s PCIe", "max_link_speed": "32.0 GT/s PCIe"}


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    (tmp_path / "sys/bus/pci/devices").mkdir(parents=True)
    return tmp_path


def put(bus: Path, path: str, files: dict[str, str], config: bytes = b"\xde\x10\x30\x23") -> None:
    place = bus / "sys/devices" / path
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(content + "\n")
    (place / "config").write_bytes(config)
    (bus / "sys/bus/pci/devices" / place.name).symlink_to(place)


def seen() -> dict[str, PciDevice]:
    fact = decode.fact("pci", pci.pci(Ask({})))
    assert isinstance(fact, PciDevices)
    return {device.address: device for device in fact.devices}


def behind_a_port(bus: Path, gpu: dict[str, str], port: dict[str, str]) -> PciDevice:
    put(bus, "pci0000:10/0000:10:01.0", {**PORT, **port})
    put(bus, "pci0000:10/0000:10:01.0/0000:1b:00.0", {**GPU, **gpu})
    return seen()["0000:1b:00.0"]


def test_a_gpu_and_the_port_above_it(bus: Path) -> None:
    gpu = behind_a_port(bus, {**LINK_X16, **GEN5}, {**LINK_X16, **GEN5})
    assert (gpu.kind, gpu.vendor, gpu.device, gpu.numa_node, gpu.driver) == ("gpu", "0x10de", "0x2330", 1, "")
    assert (gpu.link_width, gpu.link_width_max, gpu.link_speed_max) == (16, 16, "32.0 GT/s PCIe")
    assert gpu.bridges == ("0000:10:01.0",) and gpu.responds is True
    assert seen()["0000:10:01.0"].kind == "bridge"


def test_a_port_that_can_do_less_than_the_gpu(bus: Path) -> None:
    """An x16 card in an x8 slot of generation 4 is not degraded."""
    narrow = {"current_link_width": "8", "max_link_width": "8", "max_link_speed": "16.0 GT/s PCIe"}
    now = {"current_link_width": "8", "max_link_width": "16"}
    gpu = behind_a_port(
        bus, {**now, "current_link_speed": "16.0 GT/s PCIe", "max_link_speed": "32.0 GT/s PCIe"}, narrow
    )
    assert (gpu.link_width, gpu.link_width_max, gpu.link_speed_max) == (8, 8, "16.0 GT/s PCIe")


def test_a_virtual_port_that_claims_less_than_the_link_does(bus: Path) -> None:
    """QEMU's ports say x1 at 2.5 GT/s unless told otherwise."""
    virtual = {"current_link_width": "1", "max_link_width": "1", "max_link_speed": "2.5 GT/s PCIe"}
    gpu = behind_a_port(bus, {**LINK_X16, **GEN5}, virtual)
    assert (gpu.link_width_max, gpu.link_speed_max) == (16, "32.0 GT/s PCIe")


@pytest.mark.parametrize("width", ["0", "63", "255", "nonsense", ""])
def test_widths_that_are_none(bus: Path, width: str) -> None:
    odd = {"current_link_width": width, "max_link_width": width, "current_link_speed": "Unknown"}
    gpu = behind_a_port(bus, odd, odd)
    assert (gpu.link_width, gpu.link_width_max, gpu.link_speed) == (None, None, "")


def test_a_gpu_that_fell_off_the_bus(bus: Path) -> None:
    put(bus, "pci0000:10/0000:1b:00.0", GPU, config=b"\xff" * 64)
    assert seen()["0000:1b:00.0"].responds is False


def test_a_sleeping_gpu_is_not_woken(bus: Path) -> None:
    put(bus, "pci0000:10/0000:1b:00.0", {**GPU, "power/runtime_status": "suspended"}, config=b"\xff" * 64)
    assert seen()["0000:1b:00.0"].responds is None


def test_the_driver_of_a_device(bus: Path) -> None:
    put(bus, "pci0000:10/0000:1b:00.0", GPU)
    (bus / "sys/bus/pci/drivers/nouveau").mkdir(parents=True)
    (bus / "sys/devices/pci0000:10/0000:1b:00.0/driver").symlink_to(bus / "sys/bus/pci/drivers/nouveau")
    assert seen()["0000:1b:00.0"].driver == "nouveau"


@pytest.mark.parametrize(
    ("vendor", "class_code", "kind"),
    [
        ("0x10de", "0x030000", "gpu"),
        ("0x10de", "0x030200", "gpu"),
        ("0x10de", "0x040300", ""),  # the sound function of a graphics card
        ("0x10de", "0x068000", "nvswitch"),
        ("0x8086", "0x068000", ""),
        ("0x1002", "0x120000", "gpu"),  # AMD Instinct
        ("0x15b3", "0x020700", "infiniband"),
        ("0x15b3", "0x020000", "network"),
        ("0x1d0f", "0x020000", "network"),
        ("0x8086", "0x060400", "bridge"),
        ("0x144d", "0x010802", ""),
        ("", "", ""),
    ],
)
def test_kinds(vendor: str, class_code: str, kind: str) -> None:
    assert pci.kind(vendor, class_code) == kind


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_of_sysfs_has_a_kind_or_none(vendor: str, class_code: str) -> None:
    assert pci.kind(vendor, class_code) in ("gpu", "nvswitch", "network", "infiniband", "bridge", "")
    assert pci.gigatransfers(vendor) >= 0


def test_bridges_above_nothing_of_interest_are_left_out(bus: Path) -> None:
    put(bus, "pci0000:00/0000:00:1c.0", PORT)
    assert seen() == {}


def test_no_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    with pytest.raises(NotHere):
        pci.pci(Ask({}))


def test_this_machine() -> None:
    if not Path("/sys/bus/pci").exists():
        pytest.skip("this machine has no PCI bus")
    value: Any = pci.pci(Ask({}))
    fact = decode.fact("pci", value)
    assert isinstance(fact, PciDevices)
    for device in fact.devices:
        assert Path("/sys/bus/pci/devices", device.address).exists()
        assert device.kind and device.vendor.startswith("0x")
