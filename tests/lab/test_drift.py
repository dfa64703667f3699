"""Hosts of a lab that differ in one thing each: the odd one is named, with what differs, and the others are not."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT, needs
from tests.bench.nodes import Ended
from tests.lab.hosts import Host, Lab

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    needs.distribution("torch")
    if not FAKETIME.exists():
        needs.program("faketime", "libfaketime")
    with Lab(7) as hosts:
        mtu(hosts[1])
        variable(hosts[2])
        other_torch(hosts[3])
        late(hosts[4])
        full(hosts[5])
        yield hosts


def mtu(host: Host) -> None:
    host.ip("link set eth0 mtu 1400")


def variable(host: Host) -> None:
    (host.home / ".bashrc").write_text("export NCCL_PROTO=Simple\n")


def other_torch(host: Host) -> None:
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    there = Path(spec.origin).with_name("version.py")
    other = host.folder / "version.py"
    other.write_text(re.sub(r"__version__ = .*", "__version__ = '2.9.1+cpu'", there.read_text()))
    assert host.run("mount", "--bind", str(other), str(there)).status == 0


def late(host: Host) -> None:
    (host.home / ".bashrc").write_text(f"export LD_PRELOAD={FAKETIME} FAKETIME=-90s FAKETIME_DONT_FAKE_MONOTONIC=1\n")


def full(host: Host) -> None:
    assert host.run("mkdir", "/run/full").status == 0
    assert host.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/run/full").status == 0
    host.run("dd", "if=/dev/zero", "of=/run/full/filled", "bs=64k")
    (host.home / ".bashrc").write_text("export TMPDIR=/run/full\n")


def check(lab: Lab, *more: str) -> Ended:
    words = ("-m", "envdoctor", "check", "--quick", "--hosts", "node[0-6]", *more)
    return lab[0].run(sys.executable, *words, PYTHONPATH=str(ROOT))


def test_each_odd_host_is_named_with_what_differs(lab: Lab) -> None:
    done = check(lab, "--json")
    assert done.status == 1, done.out + done.err
    told = {finding["code"]: finding for finding in done.document["findings"] if finding["severity"] != "note"}
    for code, node in (
        ("mtu-mismatch", "node1"),
        ("nccl-env-mismatch", "node2"),
        ("torch-version-mismatch", "node3"),
        ("clock-skew", "node4"),
        ("disk-full", "node5"),
    ):
        assert told.get(code, {}).get("nodes") == [node], (code, told.get(code), sorted(told))
    odd = {"node1", "node2", "node3", "node4", "node5"}
    # The hosts share this machine's kernel: whom it has killed, in another test say, all of them tell.
    told.pop("host-out-of-memory", None)
    everywhere = {code for code, finding in told.items() if len(finding["nodes"]) == len(lab.hosts)}
    assert {name for code in set(told) - everywhere for name in told[code]["nodes"]} == odd, told


def test_the_report_names_each_in_a_line(lab: Lab) -> None:
    done = check(lab)
    assert "node[0-6]" in done.out
    assert "2.9.1" in done.out and "node3" in done.out
