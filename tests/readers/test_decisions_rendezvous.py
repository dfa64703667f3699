"""envdoctor/readers/decisions/rendezvous.py, through whole texts."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes

REFUSED = "[c10d] The client socket has failed to connect to [gpu-01]:29500 (errno: 111 - Connection refused).\n"
TRAINS = "step 10 loss=3.21\n"
FALLBACK = (
    "[W ProcessGroupGloo.cpp:715] Warning: Unable to resolve hostname to a (local) address. Using the loopback address"
    " as fallback. Manually set the network interface to bind to with GLOO_SOCKET_IFNAME. (function operator())\n"
)
BARRIER = (
    "RuntimeError: Timed out initializing process group in store based barrier on rank: 0, for key:"
    " store_based_barrier_key:1 (world_size=2, worker_count={}, timeout=0:30:00)\n"
)
WAITS = (
    "INFO: Waiting in store based barrier to initialize process group for rank: 0, key: store_based_barrier_key:1"
    " (world_size=4, worker_count={}, timeout=0:30:00)\n"
)


def test_a_refusal_that_a_later_try_mended_is_a_note() -> None:
    assert codes(REFUSED) == {"master-unreachable": "warning"}
    assert codes(REFUSED + TRAINS) == {"master-unreachable": "note"}
    assert codes(TRAINS + REFUSED) == {"master-unreachable": "warning"}


def test_loopback_is_a_fault_where_others_fail() -> None:
    assert codes(FALLBACK) == {"hostname-loopback": "note"}
    lost = "RuntimeError: [pair.cc:799] connect [127.0.1.1]:18330: Connection refused\n"
    assert codes(FALLBACK + lost)["hostname-loopback"] == "error"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BARRIER.format(1), "rendezvous-timeout"),
        (BARRIER.format(6), "rendezvous-shared"),
        ("dist.init_process_group('nccl', init_method='file:///shared/s')\n" + BARRIER.format(6), "stale-init-file"),
    ],
)
def test_a_barrier_counts_who_came(text: str, code: str) -> None:
    assert codes(text) == {code: "error"}


def test_a_rank_that_waits_is_worth_a_word_until_the_others_come() -> None:
    assert codes(WAITS.format(1) + WAITS.format(3)) == {"rendezvous-timeout": "warning"}
    assert codes(WAITS.format(3) + TRAINS) == {}


@pytest.mark.parametrize(
    "value", ['" 10.0.0.4"', '"[fe80::1]"', "tcp://10.0.0.4:29500", "gpu-01:29500", "$(hostname -I)"]
)
def test_an_address_is_one_bare_name(value: str) -> None:
    name = "ValueError: host not found: Name or service not known\n"
    assert codes(f"export MASTER_ADDR={value}\n") == {"master-addr-malformed": "warning"}
    assert next(iter(codes(f"export MASTER_ADDR={value}\n{name}").items())) == ("master-addr-malformed", "error")


@pytest.mark.parametrize("value", ["10.0.0.4", "gpu-01.cluster", "$(hostname -i)", '"${nodes[0]}"'])
def test_a_bare_address_is_none(value: str) -> None:
    assert codes(f"export MASTER_ADDR={value}\n") == {}


def test_ranks_that_announce_themselves_twice_while_others_never_do() -> None:
    line = "Initializing distributed: GLOBAL_RANK: {}, MEMBER: {}/4\n"
    twice = "".join(line.format(rank, rank + 1) for rank in (1, 0, 1, 0))
    assert codes(twice) == {"world-size-mismatch": "error"}
    assert codes(twice + "All distributed processes registered. Starting with 4 processes\n") == {}
    assert codes("".join(line.format(rank, rank + 1) for rank in range(4))) == {}


def test_a_mesh_is_told_where_a_connection_broke() -> None:
    envoy = "2022-07-19T18:01:59Z\tdebug\tenvoy connection\t[C72] remote early close\n"
    assert codes(envoy) == {}
    assert next(iter(codes(envoy + "RuntimeError: Connection reset by peer\n"))) == "proxy-interferes"
