from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.errors import UsageError
from envdoctor.transport.commands import quoted
from envdoctor.transport.hosts import Host, hosts


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("a,b", (Host("a"), Host("b"))),
        ("node[01-03]", (Host("node01"), Host("node02"), Host("node03"))),
        ("ada@gpu[1-2]:2222", (Host("gpu1", "ada", 2222), Host("gpu2", "ada", 2222))),
        ("10.0.0.1:22 10.0.0.2", (Host("10.0.0.1", "", 22), Host("10.0.0.2"))),
        ("[::1]:2022,ada@[fe80::1%eth0]", (Host("::1", "", 2022), Host("fe80::1%eth0", "ada"))),
        ("fd00::7", (Host("fd00::7"),)),
        ("ada@corp.example@login", (Host("login", "ada@corp.example"),)),
    ],
)
def test_forms(spec: str, expected: tuple[Host, ...]) -> None:
    assert hosts(spec) == expected


def test_a_file_of_hosts(tmp_path: Path) -> None:
    listed = tmp_path / "hosts"
    listed.write_text("# the rack\n\nnode[1-2] slots=8 max_slots=8\nada@login:22 # by the door\n")
    assert hosts(f"@{listed}") == (Host("node1", slots=8), Host("node2", slots=8), Host("login", "ada", 22))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"\xef\xbb\xbfa\r\n\r\n  b # here\r\n", (Host("a"), Host("b"))),
        (b"a,b,\n,node[1-2]\n", (Host("a"), Host("b"), Host("node1"), Host("node2"))),
        (b"gpu1\ngpu1\ngpu2\nGPU1\n", (Host("gpu1", slots=3), Host("gpu2"))),
        (b"gpu1 slots=2\ngpu1 slots=2\n", (Host("gpu1", slots=4),)),
    ],
)
def test_what_files_of_hosts_are_like(text: bytes, expected: tuple[Host, ...], tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(text)
    assert hosts(f"@{tmp_path / 'hosts'}") == expected


def test_many_hosts_are_as_good_as_few() -> None:
    assert len(hosts("node[00001-10000]-ib[0-1]")) == 20000


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "names no host"),
        (",", "names no host"),
        ("a,a", "named twice"),
        ("-oProxyCommand=id", "is no host"),
        ("a@-b", "is no host"),
        ("-l@b", "names no user"),
        ("@b", "No such file"),
        ("a;id", "is no host"),
        ("$(id)", "is no host"),
        ("a:0", "a port is"),
        ("a:x", "a port is"),
        ("a[1", "not closed"),
        ("a[x-y]", "no range"),
        ("[a:$(id)]", "is no host"),
        ("[]", "no number between the brackets"),
        ("node[]", "no number between the brackets"),
        ("node[3-1]", "'3-1' runs backwards"),
        ("node[1-65537]", "more than 65536 hosts"),
        ("node[1-9999999999999999999]", "no range"),
        ("gpu01,b,GPU01", "GPU01 is named twice"),
        ("{a,b}", "is no host"),
        (",".join(["x" * 50, "b"] * 2), r"x{50},b,x{7}\.\.\.: x{50} is named twice"),
    ],
)
def test_what_is_none_is_named_with_the_way_out(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        hosts(spec)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UsageError, match="no text"):
        hosts(f"@{tmp_path / 'hosts'}")


def test_a_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("a\nb;c\n")
    with pytest.raises(UsageError, match=r"hosts:2: 'b;c' is no host"):
        hosts(f"@{tmp_path / 'hosts'}")


@given(st.text(max_size=40))
def test_nothing_comes_out_that_a_shell_or_ssh_could_take_for_something_else(spec: str) -> None:
    if spec.startswith("@"):
        return
    try:
        found = hosts(spec)
    except UsageError:
        return
    assert found
    for host in found:
        for word in (host.name, host.user):
            assert not word.startswith("-")
            assert not set(word) & set("\"'`$;&|<>(){}*?!\\ \n\t#~")
            assert quoted(word) == f"'{word}'"
