"""checks/hosts_line.py: `envdoctor fix hosts`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from envdoctor import Files, Plan, UsageError, load
from envdoctor.facts.host import Host
from envdoctor.facts.names import HostNames, HostsLine
from envdoctor.permission import settled
from tests.unreadable import Unreadable

DEBIAN = b"127.0.0.1 localhost\n127.0.1.1 gpu-a01\n"
NAMES = HostNames("gpu-a01", (HostsLine(2, "127.0.1.1", ("gpu-a01",)),), ("files", "dns"), "10.0.0.11")
RIGHT = replace(NAMES, hosts_lines=(HostsLine(2, "10.0.0.11", ("gpu-a01",)),))


def the_fix() -> Any:
    return load.everything().fixes["hosts"]


def plan(names: HostNames = NAMES, host: Host | None = None, content: bytes = DEBIAN) -> Plan:
    made = the_fix()(names, host, Files({"/etc/hosts": content}))
    assert isinstance(made, Plan)
    return made


def test_who_may_write_it_has_it_written() -> None:
    (edit,) = plan().edits
    assert edit.after == b"127.0.0.1 localhost\n10.0.0.11 gpu-a01\n"


def test_who_may_not_gets_the_command() -> None:
    locked = Files({"/etc/hosts": DEBIAN}, locked=("/etc/hosts",))
    made = settled(the_fix()(NAMES, None, locked), locked)
    assert not made.edits
    assert made.by_hand[0].command == "sudo sed -i '2s/127\\.0\\.1\\.1/10.0.0.11/' /etc/hosts"
    inside = settled(the_fix()(NAMES, Host(container="docker"), locked), locked)
    assert inside.by_hand[0].command.startswith("new=$(sed '2s/") and "tee /etc/hosts" in inside.by_hand[0].command


def test_containers_and_pods_have_words_of_their_own() -> None:
    made = plan(host=Host(container="docker"))
    assert "docker run --add-host gpu-a01:10.0.0.11" in made.remarks[0].said.say("en")
    pod = plan(host=Host(container="kubernetes"))
    assert not pod.edits
    assert pod.by_hand[0].command == 'hostAliases: [{ip: "10.0.0.11", hostnames: ["gpu-a01"]}]'


def test_a_name_that_is_right_is_left() -> None:
    made = plan(RIGHT, content=b"10.0.0.11 gpu-a01\n")
    assert not made.changes and not made.by_hand
    assert not list(the_fix().verify(made, RIGHT))


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (replace(NAMES, outward_address=""), "no address on a default route"),
        (replace(NAMES, name="localhost"), "no name to give an address to"),
        (replace(NAMES, name="a b"), "no name to give an address to"),
    ],
)
def test_what_cannot_be_written_is_refused(names: HostNames, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan(names)


def test_a_table_that_cannot_be_read_is_not_written_anew() -> None:
    with pytest.raises(UsageError, match=r"/etc/hosts cannot be read \(Permission denied\)"):
        the_fix()(NAMES, None, Unreadable())


def test_what_stands_against_it_is_said() -> None:
    made = plan()
    (told,) = the_fix().verify(made, NAMES)
    assert told.say("en") == "gpu-a01 is still 127.0.1.1 in /etc/hosts"
    (told,) = the_fix().verify(made, replace(RIGHT, name_services=("dns",)))
    assert "nsswitch" in told.say("en")
