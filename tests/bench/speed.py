"""How fast the doctor is, as ratios within one run: `python -m tests.bench.speed [--rounds N] [--cuda-doctor PATH]`.

Each row is the median of N interleaved runs. A ratio is to the command named beside it, measured in the same rounds,
so that the figure means the same on a slow and on a fast machine. Run it on a quiet one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

PYTHON = sys.executable
DOCTOR = [PYTHON, "-m", "envdoctor"]
NAMESPACE = "envdoctor-bench"
# A link whose far end takes every packet and answers none, and a router there whose address needs no asking.
DEAD_END = (
    "link set lo up",
    "link add near type veth peer name far",
    "addr add 198.51.100.2/24 dev near",
    "link set near up",
    "link set far up",
    "neigh add 198.51.100.1 lladdr 02:00:00:00:00:01 dev near",
    "route add default via 198.51.100.1",
)


@dataclass
class Row:
    """A command, what it is compared with, and the budget for the ratio (None: shown for comparison only)."""

    name: str
    command: list[str]
    against: str = ""
    budget: float | None = None
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def rows(cuda_doctor: str, dropped: list[str] | None, home: str) -> list[Row]:
    plain = ["env", "-u", "XDG_CONFIG_HOME", "-u", "PIP_INDEX_URL", "-u", "PIP_CONFIG_FILE", f"HOME={home}"]
    # Each run finds no file of pip's: there is something to change.
    afresh = ["sh", "-c", 'rm -rf "$HOME/.config" "$HOME/.local"; exec "$@"', "sh"]
    found = [
        Row("python -c pass", [PYTHON, "-c", "pass"]),
        Row("envdoctor --help", [*DOCTOR, "--help"], "python -c pass", 8.0),
        Row("import torch", [PYTHON, "-W", "ignore", "-c", "import torch"]),
        Row("check --quick", [*DOCTOR, "check", "--quick"], "import torch", 0.35),
        Row("check --offline", [*DOCTOR, "check", "--offline"], "import torch", 1.15),
        Row("pip config list", [*plain, PYTHON, "-m", "pip", "config", "list"]),
        Row(
            "fix pip-mirror --yes",
            [*plain, *afresh, *DOCTOR, "fix", "pip-mirror", "--tuna", "--yes"],
            "pip config list",
            6.0,
        ),
        Row("collect_env", [PYTHON, "-W", "ignore", "-m", "torch.utils.collect_env"], "import torch"),
    ]
    if cuda_doctor:
        found.append(Row("cuda-doctor", [cuda_doctor, "diagnose"], "import torch"))
    if dropped is not None:
        found.append(Row("check, packets dropped", [*dropped, *DOCTOR, "check"], "check --offline"))
    return found


@contextlib.contextmanager
def dropping() -> Iterator[list[str] | None]:
    """A network namespace whose every packet, name queries included, vanishes; None without root."""
    ip = shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if os.geteuid() != 0 or ip is None:
        yield None
        return
    folder = f"/etc/netns/{NAMESPACE}"
    inside = [ip, "netns", "exec", NAMESPACE]
    subprocess.run([ip, "netns", "delete", NAMESPACE], capture_output=True)
    subprocess.run([ip, "netns", "add", NAMESPACE], check=True)
    try:
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/resolv.conf", "w") as file:
            file.write("nameserver 198.51.100.53\n")
        for words in DEAD_END:
            # Both ends stay in the namespace: what arrives at `far` belongs to nobody.
            subprocess.run([*inside, ip, *words.split()], check=True)
        yield inside
    finally:
        subprocess.run([ip, "netns", "delete", NAMESPACE], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def peak_memory_mb() -> float:
    """Peak resident memory of the doctor's own process over a whole `check --offline`, MB."""
    code = (
        "import sys, os\nfrom envdoctor.cli.app import run\nsys.stdout = open(os.devnull, 'w')\n"
        "run(['check', '--offline'])\nsys.stderr.write(open('/proc/self/status').read())"
    )
    said = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True).stderr
    found = re.search(r"VmHWM:\s+(\d+) kB", said)
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


def measure(table: list[Row], rounds: int) -> None:
    """Run every row once to warm the caches, then `rounds` times, interleaved."""
    for number in range(rounds + 1):
        for row in table:
            began = time.perf_counter()
            subprocess.run(row.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if number:
                row.seconds.append(time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cuda-doctor", default=shutil.which("cuda-doctor") or "", help="the program, to compare with")
    options = parser.parse_args()
    # An installer compiles what it installs; a checkout that may not keep what it compiled would do so in every run.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with dropping() as dropped, tempfile.TemporaryDirectory() as home:
        table = rows(options.cuda_doctor, dropped, home)
        measure(table, options.rounds)
    by_name = {row.name: row for row in table}
    machine = f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} CPUs, Python {sys.version.split()[0]}"
    print(f"medians of {options.rounds} interleaved runs, {machine}")
    for row in table:
        line = f"{row.name:<24}{row.median * 1000:8.0f} ms"
        if row.against:
            line += f"  {row.median / by_name[row.against].median:6.2f} x {row.against}"
        if row.budget:
            line += f"  (budget {row.budget:g})"
        print(line)
    if "check, packets dropped" in by_name:
        more = by_name["check, packets dropped"].median - by_name["check --offline"].median
        print(f"{'packets dropped':<24}{more:8.2f} s more than --offline  (budget 3)")
    print(f"{'peak memory':<24}{peak_memory_mb():8.1f} MB of the doctor's own process  (budget 60)")


if __name__ == "__main__":
    main()
