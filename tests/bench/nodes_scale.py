"""Judging many nodes at once: `python -m tests.bench.nodes_scale [--nodes 1024 2048 4096]`.

Full snapshots of nodes with eight H100 and eight HCAs are written to a folder, nine of them odd, each in another way.
For each number of nodes a process of its own reads them, judges them and writes the report; printed are the mean size
of a snapshot, the seconds of each step and the largest resident set. Every odd node must be named, nothing else may be
louder than a note, and time must not grow faster than the number of nodes. Budgets hold of the processor's time, which
is the wall's where the machine has nothing else to do: judging is one thread.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envdoctor import facts as all_facts
from envdoctor.examination import MADE_BY
from envdoctor.model import Node
from envdoctor.snapshot import Snapshot, to_json

Document = dict[str, Any]
BUDGET_S, BUDGET_BYTES = 5.0, 10**9
GROWTH = 2.4  # of the judging when the nodes double; what is more than 2 is the machine's noise
BEGAN = 1_763_700_000.0  # Unix time of the examination


@dataclass(frozen=True)
class Odd:
    """A way in which a node differs, and the code it must be named by."""

    kind: str
    code: str
    change: Callable[[Document], None]


def skeleton(torch: str = "2.9.1+cu128", release: str = "580.95.05") -> Document:
    """The document of one such node, on which nothing is wrong."""
    from tests.checks.whole_servers import server

    machine = server(torch=torch, release=release)
    sections = {name: machine[all_facts.kind(name)] for name in all_facts.KINDS if all_facts.kind(name) in machine}
    python = sections["python"]
    node = Node("gpu-a01", "", python.executable, python.version, "venv")  # type: ignore[attr-defined]
    document: Document = json.loads(json.dumps(to_json(Snapshot(node, "2026-11-21T12:00:00Z", MADE_BY, sections))))
    held = document["facts"]["packages"]["distributions"]
    names = [f"training-tool-{number}" for number in range(150 - len(held))]
    held += [dict(held[-1], name=name, version=f"1.{at}.0", requires=[], info=f"{name}-1.{at}.0.dist-info")
             for at, name in enumerate(names)]  # fmt: skip
    document["facts"]["packages"]["count"] = len(held)
    return document


def _gpus(document: Document) -> list[Document]:
    found: list[Document] = document["facts"]["gpu"]["gpus"]
    return found


def as_node(base: Document, index: int) -> Document:
    """The document with what no two nodes share: names, addresses, identities, counters, temperatures, times."""
    document, chance = copy.deepcopy(base), random.Random(index)
    name, facts = f"gpu{index:04d}", document["facts"]
    low, high = index % 250 + 1, index // 250
    document["node"]["name"] = facts["host"]["name"] = facts["host-names"]["name"] = name
    facts["host"]["boot_id"] = f"{chance.getrandbits(128):032x}"
    facts["environment"]["variables"].update(XDG_SESSION_ID=str(chance.randrange(1, 10**5)))
    facts["clock"] = {"time_s": BEGAN + chance.random(), "asked_s": BEGAN - 0.4, "answered_s": BEGAN + 1.2}
    for gpu in _gpus(document):
        gpu["uuid"] = f"GPU-{chance.getrandbits(128):032x}"
        gpu.update(temperature_c=chance.randrange(27, 38), memory_used_bytes=chance.randrange(1 << 20, 6 << 20))
    for nic in facts["nics"]["nics"]:
        for counter in ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes"):
            nic[counter] = chance.randrange(10**6, 10**12)
    for address in facts["nics"]["addresses"]:
        if address["address"].startswith("10."):
            rail = int(address["interface"][2:]) + 16 if address["interface"].startswith("ib") else 0
            address.update(address=f"10.{rail}.{high}.{low}", prefix=16)
    facts["nics"]["source"] = facts["host-names"]["outward_address"] = f"10.0.{high}.{low}"
    for own in facts["host-names"]["hosts_lines"]:
        own.update(address=f"10.0.{high}.{low}", names=[name])
    for own in facts["name-resolution"]["resolutions"]:
        own.update(name=name, canonical=name, ipv4=[f"10.0.{high}.{low}"], local=[f"10.0.{high}.{low}"])
    facts["name-resolution"]["fully_qualified"] = f"{name}.cluster.example"
    for device in facts["rdma"]["devices"]:
        for port in device["ports"]:
            for gid in port["gids"]:
                gid["gid"] = gid["gid"][:20] + f"{chance.getrandbits(64):016x}"[:4] + ":" + ":".join(
                    f"{chance.getrandbits(16):04x}" for _ in range(3)
                )  # fmt: skip
            port["counters"] = {"symbol_error": chance.randrange(3), "link_downed": chance.randrange(2)}
    facts["limits"]["shm"]["free_bytes"] -= chance.randrange(1 << 20)
    facts["limits"]["system_open_files"] = chance.randrange(5000, 20000)
    facts["kernel-log"]["reaches_back_s"] = chance.random() * 1e6
    for place in facts["disks"]["places"]:
        place["free_bytes"] -= chance.randrange(1 << 30)
    for probe in facts["index-probes"]["probes"]:
        probe.update(seconds=chance.random() / 3, first_byte_s=chance.random() / 5)
    facts["torch-import"]["seconds"] = 2 + chance.random()
    facts["torch-cuda"]["seconds"] = 1 + chance.random()
    return document


def _other_driver(document: Document) -> None:
    other = skeleton(release="570.172.08")["facts"]
    document["facts"]["driver"] = other["driver"]


def _other_torch(document: Document) -> None:
    other = skeleton(torch="2.8.0+cu128")["facts"]
    for section in ("torch-install", "torch-import", "libraries", "mapped-libraries", "packages"):
        document["facts"][section] = other[section]


def _other_kernel(document: Document) -> None:
    document["facts"]["host"]["kernel"] = "6.8.0-49-generic"


def _other_firmware(document: Document) -> None:
    document["facts"]["rdma"]["devices"][3]["firmware"] = "28.38.1900"


def _other_variable(document: Document) -> None:
    document["facts"]["environment"]["variables"]["NCCL_ALGO"] = "Ring"


def _other_mtu(document: Document) -> None:
    next(nic for nic in document["facts"]["nics"]["nics"] if nic["name"] == "ib0")["mtu"] = 4092


def _fewer_hcas(document: Document) -> None:
    del document["facts"]["rdma"]["devices"][5]


def _other_gpus(document: Document) -> None:
    for gpu in _gpus(document):
        gpu["name"] = "NVIDIA H200"
        gpu["memory_bytes"] = 141 << 30
    document["facts"]["torch-cuda"]["devices"] = ["NVIDIA H200 (9.0)"] * 8


def _other_clock(document: Document) -> None:
    document["facts"]["clock"]["time_s"] += 37.0


ODD = (
    Odd("driver", "node-drift", _other_driver),
    Odd("torch", "torch-version-mismatch", _other_torch),
    Odd("kernel", "node-drift", _other_kernel),
    Odd("HCA firmware", "node-drift", _other_firmware),
    Odd("NCCL variable", "nccl-env-mismatch", _other_variable),
    Odd("MTU", "mtu-mismatch", _other_mtu),
    Odd("HCA set", "ib-hca-wrong", _fewer_hcas),
    Odd("GPU kind", "node-drift", _other_gpus),
    Odd("clock", "clock-skew", _other_clock),
)


def places(count: int) -> dict[int, Odd]:
    """The numbers of the odd nodes, spread over all of them."""
    return {(2 * number + 1) * count // (2 * len(ODD)): odd for number, odd in enumerate(ODD)}


def documents(count: int) -> Iterator[Document]:
    base, odd = skeleton(), places(count)
    for index in range(count):
        document = as_node(base, index)
        if index in odd:
            odd[index].change(document)
        yield document


def write(folder: Path, count: int) -> float:
    """Write the snapshots of `count` nodes as `envdoctor snapshot` does; their mean size in bytes."""
    size = 0
    for index, document in enumerate(documents(count)):
        size += (folder / f"gpu{index:04d}.json").write_text(json.dumps(document, indent=1) + "\n")
    return size / count


def measure(folder: Path) -> dict[str, Any]:
    """Read, judge and report what lies in a folder, in this process: seconds of each step, and what was found."""
    from envdoctor import judgement, load, render
    from envdoctor.cli import saved
    from envdoctor.redact import Redactor

    loaded = load.load([load.bundled()])
    began = time.perf_counter()
    snapshots = saved.read([folder])
    read, processor = time.perf_counter(), time.process_time()
    report = judgement.judge(snapshots, loaded)
    judged, processor = time.perf_counter(), time.process_time() - processor
    text = render.renderer("text").render(report, render.Style(width=80), Redactor(b"key"))
    told = time.perf_counter()
    return {
        "nodes": len(snapshots),
        "read_s": read - began,
        "judge_s": judged - read,
        "judge_processor_s": processor,
        "report_s": told - judged,
        "rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "lines": len(text.splitlines()),
        "findings": [
            [one.code, one.situation, one.severity.value, list(one.nodes[:20]), len(one.nodes)]
            for one in report.findings
        ],
        "crashed": [outcome.check.name for outcome in report.with_status("crashed")],
    }


def faults(told: dict[str, Any], count: int) -> list[str]:
    """What is wrong with the findings: an odd node that is not named, anything else louder than a note."""
    odd = {f"gpu{index:04d}": one for index, one in places(count).items()}
    wrong = [f"the check {name} crashed" for name in told["crashed"]]
    named = {(code, node) for code, _, severity, nodes, _ in told["findings"] if severity != "note" for node in nodes}
    wrong += [f"{name} ({one.kind}) is not named by {one.code}" for name, one in odd.items()
              if (one.code, name) not in named]  # fmt: skip
    for code, situation, severity, nodes, total in told["findings"]:
        if severity == "note":
            continue
        others = [node for node in nodes if node not in odd or odd[node].code != code]
        if others or total > len(nodes):
            wrong.append(f"{severity} {code} ({situation}) on {', '.join(others or nodes)}: {total} nodes")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.measure)))
        return 0
    wrong: list[str] = []
    before = 0.0
    for count in asked.nodes:
        with tempfile.TemporaryDirectory() as folder:
            size = write(Path(folder), count)
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.nodes_scale", "--measure", folder],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
        told = json.loads(done.stdout)
        print(
            f"{count} nodes, {size / 1e3:.0f} kB each: read {told['read_s']:.1f} s, judge {told['judge_s']:.2f} s "
            f"({told['judge_processor_s']:.2f} s of a processor), "
            f"report {told['report_s']:.2f} s of {told['lines']} lines, {told['rss_bytes'] / 1e6:.0f} MB"
        )
        wrong += [f"{count} nodes: {one}" for one in faults(told, count)]
        if told["judge_processor_s"] > BUDGET_S or told["rss_bytes"] > BUDGET_BYTES:
            wrong.append(f"{count} nodes: over {BUDGET_S:.0f} s of judging or {BUDGET_BYTES / 1e9:.0f} GB")
        if before and told["judge_processor_s"] > GROWTH * before:
            wrong.append(f"{count} nodes: {told['judge_processor_s'] / before:.1f} times as long as half of them")
        before = told["judge_processor_s"]
    print("\n".join(wrong) or "every odd node is named, nothing else is louder than a note")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
