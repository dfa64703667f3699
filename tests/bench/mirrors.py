"""`bench mirrors` over twelve sites of this machine, two of them dead: `python -m tests.bench.mirrors`.

The figure: the whole command, start of the program and the question to pip included, is back within the probe deadline
of the dead sites and 2 s. Needs nginx (Debian package nginx-light) and openssl.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from envdoctor.bench.mirror_run import ANSWER_S
from tests.bench.mirror_sites import environment, program, twelve

GRACE_S = 2.0


def main() -> int:
    programs = {name: program(name) for name in ("nginx", "openssl")}
    if lacking := [name for name, path in programs.items() if not path]:
        print(f"needs {', '.join(lacking)} (Debian packages nginx-light, openssl)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with twelve(programs["nginx"], programs["openssl"], folder) as (sites, ca):
            options = ["--python", sys.executable, "--json"]
            command = [sys.executable, "-m", "envdoctor", "bench", "mirrors", *options, *sites.values()]
            began = time.monotonic()
            done = subprocess.run(command, env=environment(ca, folder), capture_output=True, text=True)
            wall_s = time.monotonic() - began
    sys.stderr.write(done.stderr)
    told = json.loads(done.stdout)
    by_url = {url: name for name, url in sites.items()}
    for row in told["mirrors"]:
        rate = f"{row['bytes_per_s'] / 1e6:8.1f} MB/s" if row["bytes_per_s"] else " " * 13
        print(f"{row['state']:<9}{rate}  {row['received_bytes'] / 1e6:4.1f} MB  {by_url[row['url']]}: {row['why']}")
    within = wall_s <= ANSWER_S + GRACE_S
    print(
        f"{len(sites)} sites, two of them dead: {wall_s:.2f} s wall, of which {told['seconds']:.2f} s asking; "
        f"the dead ones' deadline is {ANSWER_S:g} s: {'within' if within else 'NOT within'} {ANSWER_S + GRACE_S:g} s"
    )
    return 0 if within and done.returncode == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
