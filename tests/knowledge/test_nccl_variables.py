"""envdoctor/knowledge/nccl_variables.py"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.knowledge import nccl_variables as variables
from envdoctor.knowledge import table


def test_no_name_stands_in_two_lists() -> None:
    rows = table("nccl_variables")["nccl"]
    lists = [rows["numbers"].split(), rows["words"].split(), [w.partition("=")[0] for w in rows["gone"].split()]]
    together = [name for names in lists for name in names]
    assert len(together) == len(set(together)) > 250
    assert all(name == name.upper() and not name.startswith("NCCL_") for name in together)


def test_every_name_of_a_rule_is_known() -> None:
    rows = table("nccl_variables")["nccl"]
    numbers = set(rows["numbers"].split())
    assert set(rows["switches"]["names"].split()) <= numbers
    assert set(rows["ranges"]) <= numbers
    words = set(rows["words"].split())
    assert set(rows["levels"]["names"].split()) <= words
    assert set(rows["choices"]) - {"exact_case"} <= words
    assert set(rows["lists"]) - {"functions"} <= words


def test_what_is_meant_is_read_by_someone() -> None:
    rows = table("nccl_variables")
    for wrong, right in rows["misspelt"].items():
        name = right.partition("=")[0]
        assert name in variables.known() or name.startswith("GLOO_"), right
        assert wrong not in variables.known()
    for new in rows["renamed"].values():
        assert new in variables.known() or new.startswith("TORCH_")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NCCL_SOCKET_IFNAME", ""),
        ("NCCL_ASYNC_ERROR_HANDLING", ""),
        ("NCCL_OFI_PROTOCOL", ""),
        ("NCCL_TREE_THRESHOLD", ""),
        ("GLOO_SOCKET_IFNAME", ""),
        ("NCCL_SOCKET_IFNAMES", "NCCL_SOCKET_IFNAME"),
        ("NCCL_SOKET_IFNAME", "NCCL_SOCKET_IFNAME"),
        ("NCCL_IB_ENABLE", "NCCL_IB_DISABLE=0"),
        ("GLOO_IFNAME", "GLOO_SOCKET_IFNAME"),
        ("NCCL_SOMETHING_ELSE_ALTOGETHER", None),
    ],
)
def test_meant(name: str, meant: str | None) -> None:
    assert variables.meant(name) == meant


def test_names_that_are_gone() -> None:
    assert variables.last_read("NCCL_TREE_THRESHOLD") == "2.4.8"
    assert variables.last_read("NCCL_DEBUG") == ""
    assert "NCCL_TREE_THRESHOLD" in variables.known()


@pytest.mark.parametrize(
    ("name", "value", "version", "taken_as", "fails"),
    [
        ("NCCL_IB_DISABLE", "yes", "", "0", False),
        ("NCCL_IB_DISABLE", "2", "", "2", False),
        ("NCCL_IB_TIMEOUT", "99", "", "99", False),
        ("NCCL_IB_TIMEOUT", "022", "", "18 (octal)", False),
        ("NCCL_IB_TC", "08", "", "0", False),
        ("NCCL_BUFFSIZE", "8M", "", "8", False),
        ("NCCL_BUFFSIZE", "0x10z", "", "16", False),
        ("NCCL_DEBUG", "VERBOSE", "", "unset", False),
        ("NCCL_SOCKET_FAMILY", "af_inet", "", "unset", False),
        ("NCCL_NET_GDR_LEVEL", "phb", "", "unset", False),
        ("NCCL_ALGO", "allgathr:ring", "", "", True),
        ("NCCL_PROTO", "LL129", "2.21.5", "unset", False),
        ("NCCL_DEBUG_SUBSYS", "INIT,NTE", "", "unset", False),
        ("TORCH_NCCL_NAN_CHECK", "enabled", "", "", True),
        ("TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC", "ten", "", "", True),
    ],
)
def test_misread(name: str, value: str, version: str, taken_as: str, fails: bool) -> None:
    told = variables.misread(name, value, version)
    assert told is not None
    assert (told.taken_as, told.fails) == (taken_as, fails)
    assert told.accepts


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("NCCL_IB_DISABLE", "true", "1"),
        ("NCCL_IB_DISABLE", "Off", "0"),
        ("NCCL_IB_DISABLE", "maybe", ""),
        ("NCCL_IB_DISABLE", "1M", ""),
        ("NCCL_BUFFSIZE", "8M", "8388608"),
        ("NCCL_BUFFSIZE", "64 KiB", "65536"),
        ("NCCL_IB_TIMEOUT", "022", "22"),
        ("NCCL_P2P_LEVEL", "nvl", "NVL"),
        ("NCCL_P2P_LEVEL", "far", ""),
        ("NCCL_SOCKET_FAMILY", "ipv4", "AF_INET"),
        ("NCCL_SOCKET_FAMILY", "af_inet6", "AF_INET6"),
        ("NCCL_DEBUG", "verbose", ""),
        ("TORCH_NCCL_BLOCKING_WAIT", "on", "1"),
    ],
)
def test_what_was_meant(name: str, value: str, meant: str) -> None:
    told = variables.misread(name, value)
    assert told is not None and told.meant == meant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NCCL_IB_DISABLE", "1"),
        ("NCCL_IB_DISABLE", "01"),
        ("NCCL_IB_DISABLE", ""),
        ("NCCL_BUFFSIZE", "8388608"),
        ("NCCL_BUFFSIZE", "0x800000"),
        ("NCCL_CROSS_NIC", "2"),
        ("NCCL_SOCKET_NTHREADS", "-2"),
        ("NCCL_DEBUG", "info"),
        ("NCCL_SOCKET_FAMILY", "AF_INET6"),
        ("NCCL_P2P_LEVEL", "NVL"),
        ("NCCL_P2P_LEVEL", "5"),
        ("NCCL_ALGO", "^nvls,nvlstree"),
        ("NCCL_ALGO", "ring;allreduce:tree"),
        ("NCCL_DEBUG_SUBSYS", "^COLL"),
        ("NCCL_SOCKET_IFNAME", "anything"),
        ("NCCL_NEVER_HEARD_OF", "true"),
        ("TORCH_NCCL_NAN_CHECK", "Yes"),
        ("TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC", "600"),
        ("TORCH_NCCL_DEBUG_INFO_TEMP_FILE", "/tmp/x"),
    ],
)
def test_read_well(name: str, value: str) -> None:
    assert variables.misread(name, value) is None


NAMES = ["NCCL_IB_DISABLE", "NCCL_IB_TIMEOUT", "NCCL_ALGO", "NCCL_DEBUG", "NCCL_P2P_LEVEL", "TORCH_NCCL_NAN_CHECK"]


@given(st.sampled_from(NAMES), st.text(max_size=30))
def test_any_value_is_judged(name: str, value: str) -> None:
    told = variables.misread(name, value)
    assert told is None or told.accepts


def test_the_table_is_quick_to_read() -> None:
    table.cache_clear()
    before = time.perf_counter()
    table("nccl_variables")
    assert time.perf_counter() - before < 0.05
