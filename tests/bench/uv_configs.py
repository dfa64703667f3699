"""Generated configurations of uv, mended by `uv-mirror` and read by the real uv: `python -m tests.bench.uv_configs`."""

from __future__ import annotations

import argparse
import subprocess
import time
from collections import Counter

from hypothesis import HealthCheck, given, settings

from tests import needs
from tests.edits.uv_configs import Machine, assert_holds, machines


def run(count: int, program: str) -> Counter[str]:
    """How many of `count` configurations came out which way. Raises AssertionError with the smallest that fails."""
    found: Counter[str] = Counter()

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(machines())
    def each(machine: Machine) -> None:
        found[assert_holds(machine, program)] += 1

    each()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--uv", help="path of the uv to ask; else the one of this environment")
    options = parser.parse_args()
    program = options.uv or needs.uv()
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    started = time.monotonic()
    found = run(options.count, program)
    told = ", ".join(f"{number} {outcome}" for outcome, number in found.most_common())
    print(f"{version}: {sum(found.values())} configurations in {time.monotonic() - started:.0f} s, 0 failures: {told}")


if __name__ == "__main__":
    main()
