"""envdoctor/patient/nics.py and netlink.py, in real network namespaces."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.nics import Nics
from envdoctor.patient import netlink, nics, reading
from envdoctor.patient.sections import NotHere
from tests.patient.network import Namespace, namespace

# What programs see: the addresses in the order of the C library's getifaddrs, under its names.
GETIFADDRS = """
import ctypes, json, socket
class Entry(ctypes.Structure):
    pass
Entry._fields_ = [("next", ctypes.POINTER(Entry)), ("name", ctypes.c_char_p), ("flags", ctypes.c_uint),
                  ("address", ctypes.c_void_p)]
library, first, found = ctypes.CDLL(None), ctypes.POINTER(Entry)(), []
assert library.getifaddrs(ctypes.byref(first)) == 0
entry = first
while entry:
    at = entry.contents.address
    if at:
        family = ctypes.cast(at, ctypes.POINTER(ctypes.c_ushort)).contents.value
        if family in (socket.AF_INET, socket.AF_INET6):
            place, size = (4, 4) if family == socket.AF_INET else (8, 16)
            value = ctypes.string_at(at + place, size)
            found.append([entry.contents.name.decode(), socket.inet_ntop(family, value),
                          bool(entry.contents.flags & 0x40)])
    entry = entry.contents.next
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def busy() -> Iterator[Namespace]:
    """A bridge of containers made before the real interface, an alias, a MACVLAN, an overlay and a tunnel."""
    with namespace() as net:
        net.ip("link add br-0123456789ab type bridge")
        net.ip("address add 172.18.0.1/16 dev br-0123456789ab")
        net.ip("link add vetha type veth peer name cable")
        net.ip("link set vetha master br-0123456789ab")
        net.ip("link set vetha up")
        net.ip("link set cable up")
        net.ip("link set br-0123456789ab up")
        net.ip("link add eth0 type veth peer name wire")
        net.ip("link set eth0 up mtu 9000")
        net.ip("link set wire up")
        net.ip("address add 10.0.0.11/24 dev eth0 label eth0")
        net.ip("address add 10.0.0.12/24 dev eth0 label eth0:1")
        net.ip("address add 2001:db8:1::11/64 dev eth0 nodad")
        net.ip("link add link eth0 name mac7 type macvlan mode bridge")
        net.ip("address add 10.7.0.11/24 dev mac7")
        net.ip("link set mac7 up")
        net.ip("link add ifb9 type ifb")
        net.ip("address add 169.254.20.10/32 dev ifb9")
        net.ip("link set ifb9 up")
        net.ip("link add flannel.1 type vxlan id 1 dev eth0 dstport 8472")
        net.ip("link set flannel.1 up")
        net.ip("tuntap add dev tun0 mode tun")
        net.ip("address add 100.64.0.7/10 dev tun0")
        net.ip("route add default via 10.0.0.1 dev eth0 metric 50")
        net.ip("route add 192.168.5.0/24 via 10.7.0.1 dev mac7")
        yield net


@pytest.fixture(scope="module")
def seen(busy: Namespace) -> Nics:
    found = decode.fact("nics", busy.observe("nics", "nics", MASTER_ADDR="192.168.5.9"))
    assert isinstance(found, Nics)
    return found


def test_addresses_come_in_the_order_and_under_the_names_of_getifaddrs(busy: Namespace, seen: Nics) -> None:
    expected = json.loads(busy.run(sys.executable, "-c", GETIFADDRS))
    assert len(expected) >= 10
    assert [[a.label, a.address] for a in seen.addresses] == [[name, address] for name, address, _ in expected]
    for name, _, running in expected:
        nic = seen.nic(name)
        assert nic is not None and nic.running is running, name


def test_kinds(seen: Nics) -> None:
    kinds = {nic.name: nic.kind for nic in seen.nics}
    assert kinds["lo"] == "loopback"
    assert kinds["br-0123456789ab"] == "bridge"
    assert kinds["vetha"] == kinds["eth0"] == "veth"
    assert kinds["mac7"] == "macvlan"
    assert kinds["ifb9"] == "ifb"
    assert kinds["flannel.1"] == "vxlan"
    assert kinds["tun0"] == "tun"


def test_a_link_knows_what_it_stands_on_and_belongs_to(seen: Nics) -> None:
    upper, cable = seen.nic("mac7"), seen.nic("vetha")
    assert upper is not None and cable is not None
    assert (upper.parent, upper.mtu) == ("eth0", 9000)
    assert cable.master == "br-0123456789ab"
    assert [nic.name for nic in seen.members("br-0123456789ab")] == ["vetha"]


def test_a_made_up_speed_is_marked(seen: Nics) -> None:
    eth0 = seen.nic("eth0")
    assert eth0 is not None
    assert not eth0.speed_is_real
    assert eth0.up and eth0.carrier and eth0.operstate == "up"


def test_a_tunnel_nobody_serves_is_up_at_most(seen: Nics) -> None:
    tunnel = seen.nic("tun0")
    assert tunnel is not None and not tunnel.running


def test_routes_and_own_addresses_towards_the_world_and_the_master(seen: Nics) -> None:
    default = next(route for route in seen.routes if route.prefix == 0)
    assert (default.interface, default.gateway, default.metric) == ("eth0", "10.0.0.1", 50)
    assert any((r.destination, r.prefix, r.gateway) == ("192.168.5.0", 24, "10.7.0.1") for r in seen.routes)
    assert seen.source == "10.0.0.11"
    assert (seen.master, seen.source_to_master) == ("192.168.5.9", "10.7.0.11")
    assert seen.default is not None and seen.default.name == "eth0"
    assert seen.to_master is not None and seen.to_master.name == "mac7"


def test_this_machine_as_the_ip_program_sees_it() -> None:
    import subprocess

    from tests import needs

    ip = needs.program("ip", "iproute2")
    told = json.loads(subprocess.run([ip, "-j", "-d", "address"], capture_output=True, check=True).stdout)
    found = decode.fact("nics", nics.nics(None))  # type: ignore[arg-type]
    assert isinstance(found, Nics)
    assert [nic.name for nic in found.nics] == [link["ifname"] for link in told if "ifname" in link]
    for link in (link for link in told if "ifname" in link):
        nic = found.nic(link["ifname"])
        assert nic is not None and nic.mtu == link["mtu"] and nic.index == link["ifindex"]
        assert nic.up is ("UP" in link["flags"]) and nic.operstate == link["operstate"].lower()
        listed = {(a["local"], a["prefixlen"]) for a in link["addr_info"] if "local" in a}
        assert {(a.address, a.prefix) for a in found.addresses_of(nic.name)} == listed


def test_a_rule_beats_the_main_table(busy: Namespace) -> None:
    busy.ip("route add default via 10.7.0.1 dev mac7 table 77")
    busy.ip("rule add to 192.0.2.0/24 table 77")
    try:
        told = busy.observe("nics", "nics")
    finally:
        busy.ip("rule delete to 192.0.2.0/24 table 77")
    assert told["source"] == "10.7.0.11"


def test_an_ipv6_default_route() -> None:
    with namespace() as net:
        net.ip("link add eth0 type veth peer name wire")
        net.ip("link set wire up")
        net.ip("link set eth0 up")
        net.ip("address add 2001:db8:9::2/64 dev eth0 nodad")
        net.ip("route add default via 2001:db8:9::1 dev eth0")
        told = decode.fact("nics", net.observe("nics", "nics", MASTER_ADDR="[2001:db8:9::7]"))
    assert isinstance(told, Nics)
    assert told.source == ""
    assert told.source6 == told.source_to_master == "2001:db8:9::2"
    assert any((r.destination, r.gateway) == ("::", "2001:db8:9::1") for r in told.routes)


def test_no_network_at_all() -> None:
    with namespace() as net:
        told = decode.fact("nics", net.observe("nics", "nics", MASTER_ADDR="gpu-a01"))
    assert isinstance(told, Nics)
    assert [nic.name for nic in told.nics][:1] == ["lo"]
    assert told.default is None and told.master == "" and told.source == ""
    assert told.owner("127.0.1.1") == told.nic("lo")


def test_hardware_of_an_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = tmp_path / "sys/devices/pci0000:00/0000:00:01.0/0000:17:00.1"
    (card / "infiniband/mlx5_3").mkdir(parents=True)
    (tmp_path / "sys/bus/pci/drivers/mlx5_core").mkdir(parents=True)
    (card / "driver").symlink_to(tmp_path / "sys/bus/pci/drivers/mlx5_core")
    (card / "vendor").write_text("0x15b3\n")
    (card / "numa_node").write_text("1\n")
    folder = tmp_path / "sys/class/net/ens1f1"
    folder.mkdir(parents=True)
    (folder / "device").symlink_to(card)
    (folder / "speed").write_text("100000\n")
    monkeypatch.setattr(reading, "ROOT", str(tmp_path))
    told = nics.device("ens1f1")
    assert told["driver"] == "mlx5_core"
    assert told["pci"] == "0000:17:00.1"
    assert told["rdma"] == ["mlx5_3"]
    assert (told["vendor"], told["numa_node"], told["speed_mbps"]) == ("0x15b3", 1, 100000)
    link = {"name": "ens1f1", "flags": 0, "hardware": 1, "kind": ""}
    assert nics.kind(link, told) == "physical"
    assert nics.kind(dict(link, hardware=32), told) == "ipoib"
    assert nics.kind(link, {}) == "virtual"
    (folder / "speed").write_text("-1\n")
    assert nics.device("ens1f1")["speed_mbps"] is None


def test_a_kernel_without_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Any:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(netlink, "_dump", refuse)
    with pytest.raises(NotHere, match="not supported"):
        nics.nics(None)  # type: ignore[arg-type]


def test_an_error_of_the_kernel_is_raised() -> None:
    with pytest.raises(OSError):
        netlink._dump(0x7FFF, 0)


@given(st.binary(max_size=200))
def test_attributes_of_any_bytes(data: bytes) -> None:
    for value in netlink.attributes(data).values():
        assert value in data
    assert sum(1 for _ in netlink._messages(data)) <= len(data) // 16


def test_attributes_are_cut_at_their_padding() -> None:
    data = struct.pack("=HH", 9, 3) + b"eth0\0\0\0\0" + struct.pack("=HHI", 8, 4, 1500)
    assert netlink.attributes(data) == {3: b"eth0\0", 4: struct.pack("=I", 1500)}


@pytest.mark.parametrize(
    ("given_one", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        (" 10.0.0.1 ", "10.0.0.1"),
        ("gpu-a01", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_numeric(given_one: str | None, expected: str) -> None:
    assert nics.numeric(given_one) == expected
