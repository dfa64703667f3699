"""Figures of `envdoctor explain`: how often it names the cause, and how fast it reads.

    python -m tests.bench.explain score [--cases FILE] [--failures] [--kind KIND]
    python -m tests.bench.explain speed [--megabytes 1000] [--keep FOLDER]
    python -m tests.bench.explain size [--gigabytes 10] [--text KIND ...]

`score` counts as ../shared/cases/score.py does, within one process. `speed` makes a log of NCCL INFO lines and one in
which a fifth of the lines carry facts, and prints MB/s beside those of `grep -c -F -f` with the same literals, by the
clock and by CPU time. `size` reads texts that never end through a pipe (`explain_size.py`) and fails above 150 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envdoctor import judgement, load, texts
from envdoctor.model import Finding, Severity
from envdoctor.readers import registry, scan
from tests import SHARED
from tests.bench import explain_size


def answer(loaded: load.Loaded, text: str) -> tuple[Finding, ...]:
    """The findings of `explain` for a text."""
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(text.encode())
        file.flush()
        report = judgement.judge([texts.snapshot(scan.read([file.name]))], loaded)
    crashed = report.with_status("crashed")
    assert not crashed, "\n".join(outcome.traceback for outcome in crashed)
    return report.findings


def score(cases: list[dict[str, Any]], failures: bool) -> None:
    """Print how often the first finding is the confirmed cause, and how often too much is claimed."""
    loaded = load.load([load.bundled()])
    count: Counter[str] = Counter()
    by_kind: Counter[tuple[str, bool]] = Counter()
    for case in cases:
        findings = answer(loaded, case["text"])
        codes = [finding.code for finding in findings]
        wanted, said = case["codes"][0], ""
        if case["healthy"]:
            count["healthy"] += 1
            loud = [finding.code for finding in findings if finding.severity is not Severity.NOTE]
            count["alarms"] += bool(loud)
            said = f"ALARM    {case['id']}: {loud}" if loud else ""
        elif case["evidence"] == "insufficient":
            count["open"] += 1
            errors = [f.code for f in findings if f.severity is Severity.ERROR and f.code not in case["codes"]]
            count["overclaims"] += bool(errors)
            said = f"CLAIM    {case['id']}: {errors}" if errors else "" if codes else f"SILENT   {case['id']}"
        elif case["evidence"] == "partial":
            count["partial"] += 1
            count["partial hit"] += wanted in codes
            said = "" if wanted in codes else f"PARTIAL  {case['id']}: wanted {wanted}, found {codes}"
        else:
            right = codes[:1] == [wanted]
            count["full"] += 1
            count["top"] += right
            count["any"] += wanted in codes
            by_kind[(case["kind"], right)] += 1
            said = "" if right else f"MISS     {case['id']} ({case['kind']}): wanted {wanted}, found {codes}"
        if failures and said:
            print(said)
    for kind in sorted({kind for kind, _ in by_kind}):
        print(f"{kind:<12} {by_kind[(kind, True)]}/{by_kind[(kind, True)] + by_kind[(kind, False)]}")
    print(
        f"cases {len(cases)}: top-1 {count['top']}/{count['full']} = {count['top'] / max(1, count['full']):.1%}, "
        f"any {count['any']}/{count['full']}, partial evidence {count['partial hit']}/{count['partial']}, "
        f"false alarms {count['alarms']}/{count['healthy']}, overclaims {count['overclaims']}/{count['open']}"
    )


TELLING = (
    "NCCL INFO NET/Socket : Using [0]eth0:10.0.{node}.4<0>",
    "NCCL INFO Bootstrap : Using eth0:10.0.{node}.4<0>",
    "NCCL INFO NET/IB : No device found.",
    "NCCL INFO NET/Plugin: No plugin found (libnccl-net.so)",
    "NCCL INFO NCCL version 2.21.5+cuda12.4",
)
IDLE = (
    "NCCL INFO Channel {channel:02d}/0 : {rank}[{gpu}] -> {next}[{gpu}] [send] via P2P/CUMEM/read",
    "NCCL INFO Ring {channel:02d} : {rank} -> {next} -> {rank}",
    "NCCL INFO Trees [0] {next}/-1/-1->{rank}->{channel} [1] -1/-1/-1->{rank}->{next}",
)


def lines(telling: float) -> Iterator[str]:
    """Lines of 16 ranks on two nodes for ever, a share of which names a fact."""
    chance = random.Random(5)
    while True:
        rank = chance.randrange(16)
        form = chance.choice(TELLING if chance.random() < telling else IDLE)
        text = form.format(node=rank // 8, rank=rank, gpu=rank % 8, next=(rank + 1) % 16, channel=chance.randrange(32))
        yield f"node{rank // 8}:{3000 + rank}:{4000 + rank} [{rank % 8}] {text}\n"


def write_log(path: Path, size: int, telling: float) -> None:
    """A log of `size` bytes, a share of whose lines names a fact."""
    endless = lines(telling)
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(explain_size.block(endless))


def speed(megabytes: int, folder: Path) -> None:
    """Print the speed and the memory of reading, and that of grep, on both logs."""
    needles = {needle for reader in registry.readers() for needle in reader.needles()}
    literals = folder / "literals.txt"
    literals.write_text("".join(f"{needle}\n" for needle in sorted(needles) if "\n" not in needle))
    for name, telling in (("idle", 0.0), ("telling", 0.2)):
        log = folder / f"{name}.log"
        if not log.exists():
            write_log(log, megabytes * 1_000_000, telling)
        size = log.stat().st_size
        grep, grep_cpu = timed(["grep", "-c", "-F", "-f", str(literals), str(log)])
        command = [sys.executable, "-m", "envdoctor", "explain", str(log), "--json", "-o", str(folder / "answer.json")]
        took, cpu = timed(command)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"{name:<8} {size / 1e6:.0f} MB: {size / took / 1e6:.0f} MB/s ({size / cpu / 1e6:.0f} per second of CPU), "
            f"grep -F {size / grep / 1e6:.0f} ({size / grep_cpu / 1e6:.0f}): {took / grep:.2f} x grep's time "
            f"({cpu / grep_cpu:.2f} x its CPU), at most {peak:.0f} MiB",
            flush=True,
        )


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds that a command takes, by the clock and by CPU time."""
    began, used = time.perf_counter(), explain_size.used_by_children()
    # To /dev/null, grep would stop at the first line that it finds.
    subprocess.run(command, env={**os.environ, "LC_ALL": "C"}, stdout=subprocess.PIPE)
    return time.perf_counter() - began, explain_size.used_by_children() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["score", "speed", "size"])
    parser.add_argument("--cases", type=Path, default=SHARED / "cases" / "cases.jsonl")
    parser.add_argument("--failures", action="store_true")
    parser.add_argument("--kind", default="")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--gigabytes", type=float, default=10)
    blocks = {
        "idle": lambda: explain_size.block(lines(0.0)),
        "telling": lambda: explain_size.block(lines(0.2)),
        **explain_size.KINDS,
    }
    parser.add_argument("--text", action="append", choices=blocks, help="what the text of `size` is made of; all")
    parser.add_argument("--keep", type=Path, help="write the logs here and use those that are there")
    options = parser.parse_args()
    if options.what == "score":
        cases = [json.loads(line) for line in options.cases.read_text(encoding="utf-8").splitlines()]
        score([case for case in cases if options.kind in ("", case["kind"])], options.failures)
        return
    if options.what == "size":
        sys.exit(not explain_size.size(options.gigabytes, options.text or list(blocks), blocks))
    with tempfile.TemporaryDirectory() as own:
        speed(options.megabytes, options.keep or Path(own))


if __name__ == "__main__":
    main()
