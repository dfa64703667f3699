"""The figures of both benchmarks in the lab: `python -m tests.bench.allreduce [FIGURE ...] [--runs N]`.

    busbw     best bus bandwidth of two hosts at 1 Gbit/s over what iperf3 says of that link; 0.95 to 1.05, none wrong
    overhead  over a bare torch.distributed loop, 4 MiB and more, two ranks taking turns with it; under 2 %
    verdict   two hosts at 1 Gbit/s, default sizes, from the start to the verdict; under 15 s
    slow      one slow host of 8, one slow pair of 8, one slow interface of a host with two; all located
    bad-data  one rank of two whose data is bad; found and named
    healthy   2, 4 and 8 hosts; nothing louder than a note, and no links that are called uneven
    latency   one host of 4 that is 10 ms away named; 4 hosts 1, 5, 20 and 80 ms apart, nothing louder than a note

Needs root, iproute2 and iperf3. Each line says how busy the machine was: figures of a loaded one are not comparable.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests import needs
from tests.bench import overhead, test_bad_data
from tests.bench.nodes import Ended, Node, ended
from tests.bench.switched import second_nic, several, shape, slow_path, switch_of
from tests.lab.away import Relay

DOCTOR = (sys.executable, "-m", "envdoctor", "bench")
WAIT = ("--timeout", "60", "--json")
GIGABIT = "1gbit"
RATE, SLOW = "100mbit", "15mbit"


def say(figure: str, told: str, fine: bool) -> bool:
    """Print a figure; whether it is within its bounds."""
    print(f"{'ok  ' if fine else 'MISS'} {figure:<28} {told}  (load {os.getloadavg()[0]:.1f})", flush=True)
    return fine


def spread(values: list[float], digits: int = 3) -> str:
    """Median and range."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f}, {len(values)} runs)"


def bench(
    nodes: tuple[Node, ...], *command: str, variables: Callable[[int], dict[str, str]] = lambda place: {}
) -> Ended:
    """Run it by hand on each node; how the one with rank 0 ended."""
    started = [
        node.start(*DOCTOR, *command, *WAIT, "--nnodes", str(len(nodes)), "--master-addr", nodes[0].address,
                   "--node-rank", str(place), **variables(place))
        for place, node in enumerate(nodes)
    ]  # fmt: skip
    first, *_ = [ended(process) for process in started]
    return first


def found(done: Ended, code: str) -> list[tuple[str, ...]]:
    return [tuple(one["nodes"]) for one in done.document["findings"] if one["code"] == code]


def loud(done: Ended, *codes_too: str) -> list[str]:
    """What is louder than a note or of these codes, and a run that did not come to its end."""
    told = [(one["code"], one["severity"]) for one in done.document["findings"]]
    codes = [code for code, severity in told if severity != "note" or code in codes_too]
    return codes if done.document["stage"] == "done" else [*codes, "stopped at " + done.document["stage"]]


def iperf(server: Node, client: Node) -> float:
    """What iperf3 says a stream carries, GB/s."""
    listening = server.start("iperf3", "-s", "-1")
    until = time.monotonic() + 10
    while True:
        done = client.start("iperf3", "-c", server.address, "-t", "3", "-O", "1", "-J")
        out, _ = done.communicate(timeout=60)
        told = json.loads(out)
        if "error" not in told or time.monotonic() > until:
            break
    listening.communicate(timeout=10)
    return float(told["end"]["sum_received"]["bits_per_second"]) / 8e9


def busbw(runs: int) -> bool:
    needs.program("iperf3", "iperf3")
    shares, wrong = [], 0
    with several(2, GIGABIT) as nodes:
        for _ in range(runs):
            carried = iperf(*nodes)
            rows = bench(nodes, "allreduce", "--nproc-per-node", "1", "--sizes", "1M:64M").document["sizes"]
            shares.append(max(row["busbw_gb_s"] for row in rows) / carried)
            wrong += sum(row["wrong"] for row in rows)
    fine = 0.95 <= statistics.median(shares) <= 1.05 and not wrong
    return say("busbw over iperf3, 1 Gbit/s", f"{spread(shares)}, wrong {wrong}; 0.95 to 1.05", fine)


def overheads(runs: int) -> bool:
    whole = {}
    for name, each in overhead.ratios(max(4, 4 * runs)).items():
        for size, ratios in each.items():
            print(f"     {name:<7} {size >> 20:4d} MiB  {spread(ratios)}")
        whole[name] = statistics.median(ratio for ratios in each.values() for ratio in ratios)
    told = f"{whole['ours']:.3f}; at most {overhead.BUDGET}; a second bare loop {whole['control']:.3f}"
    return say("ours over the bare loop", told, whole["ours"] <= overhead.BUDGET)


def verdict(runs: int) -> bool:
    with several(2, GIGABIT) as nodes:
        seconds = [bench(nodes, "allreduce", "--nproc-per-node", "1").seconds for _ in range(runs)]
    return say("start to verdict", f"{spread(seconds, 1)} s; under 15", statistics.median(seconds) < 15)


def slow(runs: int) -> bool:
    hits = {"one slow host of 8": 0, "one slow pair of 8": 0, "one slow interface": 0}
    for run in range(runs):
        place, other = run % 8, (run * 3 + 1 + run % 8) % 8
        other = other if other != place else (place + 1) % 8
        with several(8, RATE) as nodes:
            shape(nodes[place], SLOW)
            hits["one slow host of 8"] += found(bench(nodes, "links"), "link-slow") == [(nodes[place].name,)]
        with several(8) as nodes:
            for number, node in enumerate(nodes):
                partner = {place: other, other: place}.get(number)
                slow_path(node, nodes[partner or 0], RATE, RATE if partner is None else SLOW)
            want = [tuple(nodes[end].name for end in sorted((place, other)))]
            hits["one slow pair of 8"] += found(bench(nodes, "links"), "link-slow") == want
        with several(4, RATE) as nodes:
            second_nic(nodes, RATE)
            shape(replace(nodes[run % 4], interface=f"v{run % 4}"), SLOW)
            done = bench(
                nodes, "allreduce", "--nproc-per-node", "1", "--sizes", "64K:256K",
                variables=lambda place: {"GLOO_SOCKET_IFNAME": f"w{place},v{place}"},
            )  # fmt: skip
            told = [(one["nodes"], one["evidence"].get("interface")) for one in done.document["findings"]
                    if one["code"] == "link-slow"]  # fmt: skip
            hits["one slow interface"] += told == [([nodes[run % 4].name], f"v{run % 4}")]
    fine = [say(name, f"located in {count} of {runs} runs", count == runs) for name, count in hits.items()]
    return all(fine)


def bad_data(runs: int) -> bool:
    hits = 0
    with tempfile.TemporaryDirectory() as folder, several(2) as nodes:
        (Path(folder) / "sitecustomize.py").write_text(test_bad_data.SPOILT)
        path = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
        for run in range(runs):
            bad = run % 2
            done = bench(
                nodes, "allreduce", "--nproc-per-node", "1", "--sizes", "4K:64K",
                variables=lambda place, bad=bad: {"PYTHONPATH": path} if place == bad else {},  # type: ignore[misc]
            )  # fmt: skip
            told = [one["evidence"]["suspects"] for one in done.document["findings"] if one["code"] == "data-corrupt"]
            hits += told == [str(bad)]
    return say("bad data of one rank", f"named in {hits} of {runs} runs", hits == runs)


def healthy(runs: int) -> bool:
    fine = True
    for count, sizes in ((2, "8:64M"), (4, "8:4M"), (8, "8:1M")):
        heard = []
        with several(count, GIGABIT) as nodes:
            for _ in range(runs):
                heard += loud(bench(nodes, "allreduce", "--nproc-per-node", "1", "--sizes", sizes), "links-uneven")
                heard += loud(bench(nodes, "links"), "links-uneven")
        fine &= say(
            f"{count} healthy hosts", f"{runs} runs each of allreduce and links: {heard or 'silent'}", not heard
        )
    return fine


def latency(runs: int) -> bool:
    hits = 0
    for run in range(runs):
        with several(4, RATE) as nodes, longer(nodes[run % 4], 0.010):
            both = [bench(nodes, "links"), bench(nodes, "allreduce", "--nproc-per-node", "1", "--sizes", "8:64K")]
            hits += all(found(done, "latency-high") == [(nodes[run % 4].name,)] for done in both)
    fine = say("one of 4, 10 ms away", f"named in {hits} of {runs} runs", hits == runs)
    for rtt_s in (0.001, 0.005, 0.020, 0.080):
        heard, seconds = [], []
        with several(4, RATE) as nodes, contextlib.ExitStack() as ways:
            for node in nodes:
                ways.enter_context(longer(node, rtt_s / 2))  # both ends of a way are as far from the switch
            for _ in range(runs):
                for done in (
                    bench(nodes, "links"),
                    bench(nodes, "allreduce", "--nproc-per-node", "1", "--sizes", "8:64K"),
                ):
                    heard += loud(done)
                    seconds.append(done.seconds)
        told = f"{spread(seconds, 1)} s; {heard or 'silent'}"
        fine &= say(f"4 hosts, {1e3 * rtt_s:.0f} ms apart", told, not heard)
    return fine


def longer(node: Node, rtt_s: float) -> Relay:
    """A longer way from a node to its switch."""
    return Relay(switch_of(node), f"p{node.interface}", "br0", rtt_s=rtt_s)


FIGURES: dict[str, Callable[[int], bool]] = {
    "busbw": busbw, "overhead": overheads, "verdict": verdict, "slow": slow, "bad-data": bad_data, "healthy": healthy,
    "latency": latency,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}; all unless given")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(FIGURES)}")
    needs.root()
    subprocess.run(["ip", "-V"], check=True, capture_output=True)
    fine = [FIGURES[name](options.runs) for name in options.figures or FIGURES]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
