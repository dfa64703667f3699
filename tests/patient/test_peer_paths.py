"""envdoctor/patient/peer_paths.py, against made-up PCI trees and real configuration spaces."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.peer_paths import PeerPaths
from envdoctor.patient import peer_paths, reading
from envdoctor.patient.sections import NotHere

ACS = 0x000D
AER = 0x0001


def space(*capabilities: tuple[int, bytes]) -> bytes:
    """A PCI configuration space of 4096 bytes with these extended capabilities."""
    data = bytearray(4096)
    place = 0x100
    for number, (kind, body) in enumerate(capabilities):
        following = place + 0x40 if number + 1 < len(capabilities) else 0
        struct.pack_into("<I", data, place, kind | 1 << 16 | following << 20)
        data[place + 4 : place + 4 + len(body)] = body
        place = following
    return bytes(data)


WITH_ACS = space((AER, b"\xff" * 8), (ACS, struct.pack("<HH", 0x5F, 0x1D)))


def test_acs_control() -> None:
    assert peer_paths.acs_control(WITH_ACS) == 0x1D
    assert peer_paths.acs_control(space((AER, b""))) is None
    assert peer_paths.acs_control(WITH_ACS[:64]) is None
    assert peer_paths.acs_control(None) is None
    assert peer_paths.acs_control(b"\xff" * 4096) is None


@given(st.binary(min_size=0x100, max_size=0x180))
def test_acs_control_of_any_bytes_ends(data: bytes) -> None:
    told = peer_paths.acs_control(data)
    assert told is None or 0 <= told <= 0xFFFF


def test_capabilities_in_a_circle_end() -> None:
    data = bytearray(4096)
    struct.pack_into("<I", data, 0x100, AER | 1 << 16 | 0x100 << 20)
    assert peer_paths.acs_control(bytes(data)) is None


def device(root: Path, path: str, vendor: str, kind: str, configuration: bytes, iommu: str = "") -> None:
    folder = root / "sys/devices" / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vendor").write_text(vendor + "\n")
    (folder / "class").write_text(kind + "\n")
    (folder / "config").write_bytes(configuration)
    if iommu:
        (folder / "iommu_group").mkdir()
        (folder / "iommu_group/type").write_text(iommu + "\n")
    bus = root / "sys/bus/pci/devices"
    bus.mkdir(parents=True, exist_ok=True)
    (bus / folder.name).symlink_to(folder)


def test_two_gpus_below_a_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = "pci0000:17/0000:17:01.0"
    device(tmp_path, root, "0x8086", "0x060400", WITH_ACS)
    for gpu, bridge in (("0000:1b:00.0", "0000:1a:00.0"), ("0000:1c:00.0", "0000:1a:01.0")):
        device(tmp_path, f"{root}/{bridge}", "0x1000", "0x060400", space((ACS, struct.pack("<HH", 0x5F, 0))))
        device(tmp_path, f"{root}/{bridge}/{gpu}", "0x10de", "0x030200", space((AER, b"")), "DMA-FQ")
    device(tmp_path, "pci0000:17/0000:17:02.0", "0x15b3", "0x020000", b"")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("BOOT_IMAGE=/vmlinuz intel_iommu=on quiet pci=noaer\n")
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    told = decode.fact("peer-paths", peer_paths.peer_paths(None))  # type: ignore[arg-type]
    assert isinstance(told, PeerPaths)
    assert told.gpus == ("0000:1b:00.0", "0000:1c:00.0") == told.translated
    assert told.bridges_above["0000:1b:00.0"] == ("0000:17:01.0", "0000:1a:00.0")
    assert told.acs == {"0000:17:01.0": 0x1D, "0000:1a:00.0": 0, "0000:1a:01.0": 0}
    assert told.redirecting == ("0000:17:01.0",)
    assert told.acs_readable
    assert told.kernel_options == ("intel_iommu=on", "pci=noaer")


def test_without_root_only_64_bytes_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device(tmp_path, "pci0000:00/0000:00:01.0", "0x8086", "0x060400", WITH_ACS[:64])
    device(tmp_path, "pci0000:00/0000:00:01.0/0000:01:00.0", "0x10de", "0x030000", WITH_ACS[:64], "identity")
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    told = decode.fact("peer-paths", peer_paths.peer_paths(None))  # type: ignore[arg-type]
    assert isinstance(told, PeerPaths)
    assert (told.acs, told.acs_readable, told.translated) == ({}, False, ())


def test_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    with pytest.raises(NotHere):
        peer_paths.peer_paths(None)  # type: ignore[arg-type]


def test_the_configuration_spaces_of_this_machine_can_be_walked() -> None:
    for address in reading.names("/sys/bus/pci/devices"):
        told = peer_paths.acs_control(reading.raw(f"/sys/bus/pci/devices/{address}/config", 4096))
        assert told is None or 0 <= told <= 0x7F
