"""Puts torch and what came with it back to recorded versions; `envdoctor fix --undo` runs it for an installation.

    python -m envdoctor.put_back --python /env/bin/python [--uv] [--index-url URL] torch==2.8.0+cu126 nvidia-...==...
    python -m envdoctor.put_back --conda /opt/conda/bin/conda --prefix /env [--channel NAME] pytorch==2.5.1=py311_0

What is as recorded is left alone, without a connection: after an installation that changed nothing this does nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from envdoctor.knowledge.installing import FAMILY, SHARED_FOLDERS, tool

LOOK_S = 30.0
# Runs in the target, whose Python may be old: names of the metadata folders on its own path.
LOOK = """
import json, os, re, sys
found = {}
for folder in sys.path:
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        told = re.match(r"(.+?)-([^-]+)\\.dist-info$", name)
        if told and os.path.isfile(os.path.join(folder, name, "METADATA")):
            found.setdefault(re.sub(r"[-_.]+", "-", told.group(1)).lower(), told.group(2))
print(json.dumps(found))
"""


def installed(python: str) -> dict[str, str]:
    """The family's distributions in an environment, name -> version.

    Raises:
        OSError, subprocess.SubprocessError, ValueError: the Python does not start or answer.
    """
    done = subprocess.run(
        [python, "-I", "-c", LOOK], capture_output=True, text=True, timeout=LOOK_S, check=True, stdin=subprocess.DEVNULL
    )
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return {name: version for name, version in found.items() if FAMILY.fullmatch(name)}


def steps(
    now: Mapping[str, str], wanted: Mapping[str, str], python: str, installer: str, index_url: str
) -> list[tuple[str, ...]]:
    """The commands that lead from one set of versions to the other; none where they are the same."""
    extra = sorted(name for name in now if name not in wanted)
    changed = sorted(name for name, version in wanted.items() if now.get(name) != version)
    # Of two wheels with the same files the one removed takes the other's along.
    clobbered = [name for name in wanted if name not in changed and _folder(name) in map(_folder, extra)]
    found = [tool(installer, python, "uninstall", *extra)] if extra else []
    if again := [*changed, *clobbered]:
        words = [
            "--no-deps",
            *(["--force-reinstall"] if clobbered else []),
            *(f"{name}=={wanted[name]}" for name in again),
        ]
        words += ["--index-url", index_url] if index_url else []
        found.append(tool(installer, python, "install", *words))
    return found


def conda_installed(prefix: str) -> dict[str, str]:
    """conda's own record of an environment, name -> "version=build"."""
    found = {}
    for path in Path(prefix, "conda-meta").glob("*.json"):
        name, version, build = path.stem.rsplit("-", 2) if path.stem.count("-") > 1 else ("", "", "")
        found[name] = f"{version}={build}"
    return found


def conda_steps(
    now: Mapping[str, str], wanted: Mapping[str, str], program: str, prefix: str, channels: Sequence[str]
) -> list[tuple[str, ...]]:
    """The command of conda that brings the recorded builds back; none where they are there."""
    if all(now.get(name) == version for name, version in wanted.items()):
        return []
    named = [word for channel in channels for word in ("-c", channel)]
    specs = [f"{name}={version}" for name, version in wanted.items()]
    return [(program, "install", "-p", prefix, "--yes", *named, *specs)]


def _folder(name: str) -> str:
    stem = re.sub(r"-cu\d+$", "", name)
    return stem if stem in SHARED_FOLDERS else name


def main(arguments: Sequence[str] | None = None) -> int:
    """Put the versions back. Returns the status of the command that failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m envdoctor.put_back", description=__doc__.splitlines()[0])
    parser.add_argument("--python", default="")
    parser.add_argument("--conda", default="", metavar="PROGRAM")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--channel", action="append", default=[])
    parser.add_argument("--uv", action="store_true")
    parser.add_argument("--index-url", default="")
    parser.add_argument("versions", nargs="*", metavar="NAME==VERSION")
    asked = parser.parse_args(arguments)
    wanted = dict(one.split("==", 1) for one in asked.versions)
    if asked.conda:
        found = conda_steps(conda_installed(asked.prefix), wanted, asked.conda, asked.prefix, asked.channel)
    else:
        try:
            now = installed(asked.python)
        except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
            print(f"{asked.python!r} does not say what it holds ({error}); nothing was put back", file=sys.stderr)
            return 1
        found = steps(now, wanted, asked.python, "uv" if asked.uv else "", asked.index_url)
    for step in found:
        print(f"+ {shlex.join(step)}", flush=True)
        try:
            status = subprocess.run(step, stdin=subprocess.DEVNULL, check=False).returncode
        except OSError as error:
            print(f"{step[0]} could not be started: {error.strerror}", file=sys.stderr)
            return 1
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
