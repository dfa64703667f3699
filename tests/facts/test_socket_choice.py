"""envdoctor/facts/socket_choice.py, held against what NCCL and gloo themselves did."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.names import HostNames, HostsLine, NameResolution, Resolution
from envdoctor.facts.nics import Address, Nic, Nics
from envdoctor.facts.socket_choice import Choice, Entry, Get, gloo_choice, listing, nccl_choice, own_addresses, release
from tests import needs
from tests.patient.network import namespace

# Recorded in network namespaces with ncclGetUniqueId of NCCL 2.21.5 and 2.29.7, which needs no GPU: the interfaces as
# the patient saw them, the variables, and what NCCL_DEBUG=INFO printed after "Bootstrap: Using"; null where it found
# no interface.
RECORDED = json.loads((Path(__file__).parent / "nccl_answers.json").read_text())
ANSWERS = [
    pytest.param(
        machine["nics"], row["variables"], version, answer, id=f"{machine['about']}-{version}-{row['variables']}"
    )
    for machine in RECORDED
    for row in machine["rows"]
    for version, answer in row["answers"].items()
]


@pytest.mark.parametrize(("observed", "variables", "version", "answer"), ANSWERS)
def test_nccl_itself_took_the_same(observed: Any, variables: dict[str, str], version: str, answer: str | None) -> None:
    nics = decode.fact("nics", observed)
    assert isinstance(nics, Nics)
    first = nccl_choice(nics, reader(variables), version).first
    assert (f"{first.label}:{first.address}" if first else None) == answer


def test_the_recording_tells_old_and_new_apart() -> None:
    differing = [row for machine in RECORDED for row in machine["rows"] if len(set(row["answers"].values())) > 1]
    assert len(differing) >= 3


def reader(variables: dict[str, str]) -> Get:
    return lambda name: variables.get(name)


def machine(*names: str, first: int = 1) -> Nics:
    """Interfaces with an address each, 10.0.N.1/24, in this order."""
    return Nics(
        nics=tuple(Nic(name, index) for index, name in enumerate(names, first)),
        addresses=tuple(Address(name, name, f"10.0.{index}.1", 24) for index, name in enumerate(names, first)),
    )


def names_of(choice: Choice) -> list[str]:
    return [address.label for address in choice.addresses]


def test_the_socket_transport_takes_every_interface_that_is_left() -> None:
    choice = nccl_choice(machine("br-1", "eth0", "docker0", "veth7", "virbr0"), reader({}), "2.29.7")
    assert names_of(choice) == ["br-1", "eth0", "veth7"]
    assert choice.by == "order" and not choice.by_variable


def test_at_most_sixteen() -> None:
    assert len(nccl_choice(machine(*(f"e{n}" for n in range(40))), reader({})).addresses) == 16


def test_what_nothing_matches_is_named() -> None:
    choice = nccl_choice(machine("eth0"), reader({"NCCL_SOCKET_IFNAME": "=eth0,ens3"}))
    assert (names_of(choice), choice.absent, choice.by_variable) == (["eth0"], ("ens3",), True)
    assert nccl_choice(machine("eth0"), reader({"NCCL_SOCKET_IFNAME": "^docker,ens3"})).absent == ()


@pytest.mark.parametrize(
    ("identifier", "taken"),
    [("10.0.2.9:5000", "eth1"), ("gpu-a01:5000", "eth0"), ("10.9.9.9:5000", "eth0"), ("[fd00::7]:1", "eth0")],
)
def test_the_subnet_of_comm_id(identifier: str, taken: str) -> None:
    choice = nccl_choice(machine("eth0", "eth1"), reader({"NCCL_COMM_ID": identifier}))
    assert names_of(choice)[0] == taken
    assert (choice.by == "NCCL_COMM_ID") is (taken == "eth1")


def test_without_any_address_nothing_is_taken() -> None:
    assert nccl_choice(Nics(), reader({})) == Choice()
    assert gloo_choice(Nics(), reader({}), ()) == Choice()


@pytest.mark.parametrize(
    ("value", "entries", "excludes", "exact"),
    [
        ("eth0", [Entry("eth0")], False, False),
        ("=eth0,eth1", [Entry("eth0"), Entry("eth1")], False, True),
        ("^docker,lo", [Entry("docker"), Entry("lo")], True, False),
        ("^=eth0", [Entry("eth0")], True, True),
        ("=^eth0", [Entry("^eth0")], False, True),
        ("mlx5_0:1,mlx5_1:x", [Entry("mlx5_0", 1), Entry("mlx5_1", 0)], False, False),
        (",,eth0,", [Entry("eth0")], False, False),
        ("mlx5_0::3", [Entry("mlx5_0")], False, False),
        (" eth0", [Entry(" eth0")], False, False),
    ],
)
def test_listing(value: str, entries: list[Entry], excludes: bool, exact: bool) -> None:
    told = listing(value)
    assert (list(told.entries), told.excludes, told.exact) == (entries, excludes, exact)


@given(st.text(alphabet="^=,:eth01 \n", max_size=60), st.sampled_from(["eth0", "eth1", "eth01", "lo", ""]))
def test_any_listing_turns_round_with_its_sign(value: str, name: str) -> None:
    bare = value.lstrip("^")
    one, other = listing(bare), listing("^" + bare)
    assert one.takes(name) is not other.takes(name)
    assert all(entry.name and "," not in entry.name and ":" not in entry.name for entry in one.entries)
    assert len(one.entries) <= 16


@given(st.lists(st.sampled_from(["eth0", "ib0", "docker0", "lo", "virbr0", "br-1"]), unique=True, min_size=1))
def test_something_is_taken_whenever_there_is_an_address(names: list[str]) -> None:
    choice = nccl_choice(machine(*names), reader({}), "2.29.7")
    assert choice.first is not None
    if "ib0" in names:
        assert names_of(choice) == ["ib0"]
    elif choice.by != "order":
        assert not set(names) & {"eth0", "br-1"}


def test_release() -> None:
    assert release("2.27.5") == (2, 27, 5)
    assert release("2.8") == (2, 8, 0)
    assert release("") is None


GLOO = """
import json, os, socket, sys, time
import torch.distributed as dist
def listening():
    rows = [row.split() for file in ("tcp", "tcp6") for row in open("/proc/self/net/" + file).readlines()[1:]]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A"]
def address(word):
    data = b"".join(bytes.fromhex(word[at:at + 8])[::-1] for at in range(0, len(word), 8))
    return socket.inet_ntop(socket.AF_INET6 if len(data) == 16 else socket.AF_INET, data)
told = []
for value in json.loads(sys.argv[1]):
    os.environ.pop("GLOO_SOCKET_IFNAME", None)
    if value is not None:
        os.environ["GLOO_SOCKET_IFNAME"] = value
    try:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        told.append(sorted(map(address, listening())))
        dist.destroy_process_group()
    except RuntimeError as error:
        told.append(str(error).splitlines()[0])
own = [entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)]
print(json.dumps({"own": own, "told": told}))
"""


@pytest.mark.torch
def test_gloo_itself_takes_the_same() -> None:
    if importlib.util.find_spec("torch") is None:
        needs.module("torch")
    values = [
        None,
        "eth0",
        "wire0",
        "eth0,wire0",
        "eth",
        "=eth0",
        "^lo",
        "eth0, wire0",
        "eth0:1",
        "lo",
        "six",
        "e",
        "lo,",
    ]
    with namespace() as net:
        net.ip("link add wire0 type veth peer name eth0")
        net.ip("link set eth0 up")
        net.ip("address add 10.0.0.1/24 dev wire0")  # stays down: gloo does not mind
        net.ip("address add 10.0.0.11/24 dev eth0 label eth0")
        net.ip("address add 10.0.1.11/24 dev eth0 label eth0:1")
        net.ip("link add six type veth peer name far")
        net.ip("link set six up")
        net.ip("link set far up")
        net.ip("address add 2001:db8::5/64 dev six nodad")
        nics = decode.fact("nics", net.observe("nics", "nics"))
        answer = json.loads(net.run(sys.executable, "-W", "ignore", "-c", GLOO, json.dumps(values)))
    assert isinstance(nics, Nics)
    for value, told in zip(values, answer["told"], strict=True):
        variables = {} if value is None else {"GLOO_SOCKET_IFNAME": value}
        choice = gloo_choice(nics, reader(variables), tuple(answer["own"]))
        if choice.absent:
            assert f"Unable to find address for: {choice.absent[0]}" in told, value
        else:
            assert sorted(address.address for address in choice.addresses) == told, value


def test_gloo_without_knowing_the_own_name() -> None:
    assert gloo_choice(machine("eth0"), reader({}), None) == Choice()


def test_gloo_falls_back_to_the_loopback_when_the_own_name_is_of_another_machine() -> None:
    nics = Nics(nics=(Nic("lo", 1, "loopback"), Nic("eth0", 2)), addresses=(Address("eth0", "eth0", "10.0.0.1", 24),))
    assert gloo_choice(nics, reader({}), ("10.0.0.9",)).by == "fallback"
    assert names_of(gloo_choice(nics, reader({}), ("127.0.1.1",))) == ["lo"]
    assert names_of(gloo_choice(nics, reader({}), ("10.0.0.9", "10.0.0.1"))) == ["eth0"]


def test_own_addresses() -> None:
    lines = (HostsLine(2, "127.0.1.1", ("gpu-a01",)),)
    files = HostNames("gpu-a01", lines, ("files", "dns"))
    assert own_addresses(files, None) == ("127.0.1.1",)
    assert own_addresses(HostNames("gpu-a02", lines, ("files", "dns")), None) is None
    assert own_addresses(HostNames("gpu-a01", lines, ("dns", "files")), None) is None
    assert own_addresses(None, None) is None
    resolved = NameResolution((Resolution("gpu-a01", own=True, ipv4=("10.0.0.11",)),))
    assert own_addresses(files, resolved) == ("10.0.0.11",)
    late = NameResolution((Resolution("gpu-a01", own=True, in_time=False),))
    assert own_addresses(files, late) == ("127.0.1.1",)
