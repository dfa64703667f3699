"""Two of eight nodes behind a slow uplink, as `envdoctor bench links` sees them where it does not measure all pairs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from tests.bench.nodes import Node
from tests.bench.switched import several

LIMIT_S = 150.0
# The doctor as it is, but for the number of machines from which on it measures groups instead of all pairs.
DOCTOR = (
    "import runpy; from envdoctor.facts import links; links.ALL_PAIRS = 4;"
    "runpy.run_module('envdoctor', run_name='__main__', alter_sys=True)"
)


def behind(nodes: Sequence[Node], rate: str) -> None:
    """Give these nodes a switch of their own, whose uplink carries no more than `rate` either way."""
    switch = "sw-" + nodes[0].name.partition("-")[2]
    for words in (
        "link add br2 up type bridge",
        "link add up0 up type veth peer name up1",
        "link set up0 master br0",
        "link set up1 up master br2",
        *(f"link set p{node.interface} master br2" for node in nodes),
    ):
        subprocess.run(["ip", "-n", switch, *words.split()], check=True)
    for end in ("up0", "up1"):
        told = f"qdisc replace dev {end} root tbf rate {rate} burst 256kb latency 50ms"
        subprocess.run(["tc", "-n", switch, *told.split()], check=True)


def test_the_nodes_behind_a_slow_uplink_are_named_together() -> None:
    with several(8, "100mbit") as nodes:
        behind(nodes[5:7], "30mbit")
        started = [
            node.start(
                sys.executable, "-c", DOCTOR, "bench", "links", "--nnodes", "8", "--timeout", "40", "--json",
                "--master-addr", nodes[0].address, "--node-rank", str(place),
            )
            for place, node in enumerate(nodes)
        ]  # fmt: skip
        (out, err), *_ = [process.communicate(timeout=LIMIT_S) for process in started]
    loud = [one for one in json.loads(out)["findings"] if one["severity"] != "note"]
    assert [(one["code"], one["nodes"]) for one in loud] == [("link-slow", [nodes[5].name, nodes[6].name])], err
    told = loud[0]["evidence"]
    assert 5 <= told["gbit"] * 1e3 <= 30 and told["inside"] * 1e3 > 60, told
