"""`envdoctor bench allreduce` started by hand on two nodes: whole, and with faults that must be named."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.bench.nodes import JOIN_S, SOON, Node, by_hand, climbs, ended, gone, two

# Starting Python, loading the checks and looking at the machine, on the slowest machine that tests run on, and beside
# other tests. `python -m tests.bench.allreduce_faults` holds each fault to its deadline.
AROUND_S = 25.0


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    needs.distribution("torch")
    with two() as pair:
        yield pair


def test_healthy(nodes: tuple[Node, Node]) -> None:
    one, other = by_hand(*nodes)
    assert one.status == other.status == 0, one.err + other.err
    told = one.document
    assert told["schema"] == "envdoctor/bench/1"
    assert (told["stage"], told["backend"], told["world_size"], told["missing_ranks"]) == ("done", "gloo", 2, [])
    assert [node["name"] for node in told["nodes"]] == [node.name for node in nodes]
    assert [row["bytes"] for row in told["sizes"]] == [8 * 4**step for step in range(8)] + [256 << 10]
    for row in told["sizes"]:
        assert row["iterations"] >= 3 and row["wrong"] == 0
        assert row["time_us"]["p5"] <= row["time_us"]["median"] <= row["time_us"]["p95"]
        assert row["busbw_gb_s"] == pytest.approx(row["algbw_gb_s"])  # 2(n-1)/n is 1 for two ranks
        assert row["algbw_gb_s"] == pytest.approx(row["bytes"] / row["time_us"]["median"] / 1e3)
    assert not one.codes and not other.codes
    assert all(gone(node) for node in nodes)


def test_several_ranks_on_each_node(nodes: tuple[Node, Node]) -> None:
    one, other = by_hand(
        *nodes, "--nproc-per-node", "2", "--sizes", "4K:4K", "--dtype", "bfloat16", "--assert", "max-latency=0.001"
    )
    told = one.document
    assert (one.status, [each["held"] for each in told["asserts"]]) == (1, [False])
    assert (other.status, other.document["asserts"]) == (0, [])
    assert f"--assert is judged by {nodes[0].name}" in other.err
    assert [node["ranks"] for node in told["nodes"]] == [[0, 1], [2, 3]]
    assert [row["wrong"] for row in told["sizes"]] == [0]
    row = told["sizes"][0]
    assert row["busbw_gb_s"] == pytest.approx(row["algbw_gb_s"] * 1.5)


def test_a_node_never_comes(nodes: tuple[Node, Node]) -> None:
    first, _ = nodes
    alone = ended(first.bench("--nnodes", "2", "--node-rank", "0", "--master-addr", first.address, *SOON))
    assert (alone.status, alone.codes) == (1, ["rank-missing"])
    assert alone.document["missing_ranks"] == [1]
    assert alone.seconds < JOIN_S + AROUND_S
    assert "--node-rank I --master-addr 10.9.0.1" in alone.err


def test_the_port_is_dropped(nodes: tuple[Node, Node]) -> None:
    nodes[0].nft('iifname "w0" tcp dport 29500 drop')
    one, other = by_hand(*nodes, *SOON)
    assert one.codes == ["rank-missing"]
    assert other.codes == ["firewall-blocks-ports"]
    assert other.document["stage"] == "connect"


def test_the_port_is_refused_by_a_firewall(nodes: tuple[Node, Node]) -> None:
    nodes[0].nft('iifname "w0" tcp dport 29500 reject')
    _, other = by_hand(*nodes, *SOON)
    assert other.codes == ["firewall-blocks-ports"]
    assert other.seconds < AROUND_S, "what no waiting mends is said at once"


@pytest.mark.parametrize("verdict", ["drop", "reject", "reject with tcp reset"])
def test_data_ports_are_blocked_one_way(nodes: tuple[Node, Node], verdict: str) -> None:
    nodes[0].nft(f'iifname "w0" tcp dport 32768-60999 ct state new {verdict}')
    one, other = by_hand(*nodes)
    for seen in (one, other):
        assert seen.codes == ["firewall-blocks-ports"]
        assert seen.document["stage"] == "dial"
        assert seen.nodes_of("firewall-blocks-ports") == [nodes[0].name, nodes[1].name]
    finding = next(one for one in one.document["findings"] if one["code"] == "firewall-blocks-ports")
    assert finding["evidence"]["back"] == "connected"


def test_a_bulk_of_data_stalls(nodes: tuple[Node, Node]) -> None:
    nodes[0].nft('iifname "w0" ip length > 1000 drop')
    one, other = by_hand(*nodes)
    assert one.codes == other.codes == ["mtu-mismatch"]
    assert one.document["stage"] == "bulk"


def test_the_master_s_address_is_nobody_s(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    one = first.bench("--nnodes", "2", "--node-rank", "0", "--master-addr", first.address, *SOON)
    other = ended(second.bench("--nnodes", "2", "--node-rank", "1", "--master-addr", "10.9.0.9", *SOON))
    assert other.codes == ["master-unreachable"]
    assert ended(one).codes == ["rank-missing"]


def test_the_master_s_address_is_another_machine_s(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    one = ended(first.bench("--nnodes", "2", "--node-rank", "0", "--master-addr", second.address))
    assert one.codes == ["master-unreachable"]
    assert one.seconds < AROUND_S


def test_the_master_s_name_does_not_resolve(nodes: tuple[Node, Node]) -> None:
    other = ended(nodes[1].bench("--nnodes", "2", "--node-rank", "1", "--master-addr", "nosuchhost"))
    assert other.codes == ["hostname-unresolvable"]
    assert other.document["stage"] == "resolve"


def test_the_port_is_taken(nodes: tuple[Node, Node]) -> None:
    holder = nodes[0].start(sys.executable, "-u", "-m", "http.server", "29500")
    assert holder.stdout is not None
    assert "Serving" in holder.stdout.readline()
    one, other = by_hand(*nodes)
    assert one.codes == ["port-in-use"]
    assert other.codes == ["master-unreachable"]


CLOSES = """
import socket
with socket.create_server(("0.0.0.0", 29500)) as server:
    print("listens", flush=True)
    while True:
        server.accept()[0].close()
"""


def test_what_holds_the_port_closes_every_connection(nodes: tuple[Node, Node]) -> None:
    """It is reached again and again, and not for ever."""
    first, second = nodes
    holder = first.start(sys.executable, "-c", CLOSES)
    assert holder.stdout is not None and "listens" in holder.stdout.readline()
    common = ("--nnodes", "2", "--master-addr", first.address, "--timeout", "2")
    other = ended(second.bench(*common, "--node-rank", "1"))
    assert (other.status, other.codes) == (1, ["master-unreachable"])


def test_two_nodes_claim_one_number(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    common = ("--nnodes", "3", "--master-addr", first.address)
    one, other = first.bench(*common, "--node-rank", "0"), second.bench(*common, "--node-rank", "1")
    third = ended(second.bench(*common, "--node-rank", "1"))
    for seen in (ended(one), third):
        assert seen.codes == ["rank-duplicate"]
        assert seen.nodes_of("rank-duplicate") == [second.name]
    assert ended(other).status == 1


def test_one_node_was_told_of_three(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    one = first.bench("--nnodes", "2", "--master-addr", first.address, "--node-rank", "0")
    other = ended(second.bench("--nnodes", "3", "--master-addr", first.address, "--node-rank", "1"))
    assert ended(one).codes == other.codes == ["world-size-mismatch"]


def test_the_interface_for_gloo_is_not_there(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    common = ("--nnodes", "2", "--master-addr", first.address, *SOON)
    one = first.bench(*common, "--node-rank", "0")
    other = ended(second.bench(*common, "--node-rank", "1", GLOO_SOCKET_IFNAME="eth9"))
    assert other.codes == ["interface-missing"]
    assert other.document["stage"] == "route"
    assert ended(one).codes == ["rank-missing"]


def test_the_hosts_own_names_lead_to_loopback(nodes: tuple[Node, Node]) -> None:
    for node in nodes:
        Path(f"/etc/netns/{node.name}/hosts").write_text(f"127.0.1.1 {node.name}\n127.0.0.1 localhost\n")
    one, other = by_hand(*nodes, GLOO_SOCKET_IFNAME="")
    for seen in (one, other):
        found = [finding["code"] for finding in seen.document["findings"]]
        assert "hostname-loopback" in found and "wrong-interface" in found
        assert seen.document["stage"] == "gloo"


def test_torch_is_missing_on_one_node(nodes: tuple[Node, Node], tmp_path: Path) -> None:
    import venv

    venv.create(tmp_path / "bare", with_pip=False)
    first, second = nodes
    one = first.bench("--nnodes", "2", "--master-addr", first.address, "--node-rank", "0")
    bare = str(tmp_path / "bare" / "bin" / "python")
    other = ended(second.bench("--nnodes", "2", "--master-addr", first.address, "--node-rank", "1", "--python", bare))
    seen = ended(one)
    assert other.codes == seen.codes == ["torch-missing"]
    assert seen.nodes_of("torch-missing") == [second.name]
    assert seen.document["stage"] == "torch", "the rungs below torch were climbed"


def running(node: Node, part: str) -> list[int]:
    """Processes of a node with these words on their command line."""
    found = []
    for pid in node.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        except OSError:
            continue
        if part in words:
            found.append(pid)
    return found


@pytest.mark.parametrize("victim", ["doctor", "rank"])
def test_a_node_dies_while_the_sweep_runs(nodes: tuple[Node, Node], victim: str) -> None:
    first, second = nodes
    common = ("--nnodes", "2", "--master-addr", first.address, "--sizes", "8M:1G")
    one, other = first.bench(*common, "--node-rank", "0", "-v"), second.bench(*common, "--node-rank", "1")
    climbs(one, "sweep")
    # The rank has no option -I, which its agent has.
    ranks = [pid for pid in running(second, "w['boot']") if pid not in running(second, "-I")]
    killed_at = time.monotonic()
    os.kill(ranks[0] if victim == "rank" else other.pid, signal.SIGKILL)
    seen = ended(one)
    assert time.monotonic() - killed_at < AROUND_S
    assert seen.codes[0] == "peer-died"
    assert seen.nodes_of("peer-died") == [second.name]
    assert gone(first) and gone(second), "nothing is left behind on any node"


def test_an_interrupt_ends_everything_everywhere(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    common = ("--nnodes", "2", "--master-addr", first.address, "--sizes", "8M:1G")
    one, other = first.bench(*common, "--node-rank", "0", "-v"), second.bench(*common, "--node-rank", "1")
    climbs(one, "sweep")
    one.send_signal(signal.SIGINT)
    assert ended(one).status == 130
    assert ended(other).codes[0] == "peer-died"
    assert gone(first) and gone(second)
