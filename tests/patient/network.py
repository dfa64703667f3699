"""Network namespaces for tests: real interfaces that nobody else sees."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests import ROOT, needs

_number = itertools.count()
ASK = """
import json, sys
sys.path.insert(0, {root!r})
from envdoctor.patient import {module}
print(json.dumps({module}.{function}(None)))
"""


class Namespace:
    """A network namespace. `ip` configures it, `observe` runs a section of the patient inside it."""

    def __init__(self, name: str, ip: str) -> None:
        self.name = name
        self.program = ip

    def ip(self, words: str) -> None:
        subprocess.run([self.program, "-n", self.name, *words.split()], check=True, capture_output=True)

    def run(self, *command: str, **variables: str) -> str:
        done = subprocess.run(
            [self.program, "netns", "exec", self.name, *command],
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, **variables},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def observe(self, module: str, function: str, **variables: str) -> Any:
        code = ASK.format(root=str(ROOT), module=module, function=function)
        return json.loads(self.run(sys.executable, "-c", code, **variables))


@contextmanager
def namespace() -> Iterator[Namespace]:
    """An empty namespace with a loopback that is up; gone afterwards, with all that was made in it."""
    needs.root()
    ip = needs.program("ip", "iproute2")
    name = f"envdoctor-{os.getpid()}-{next(_number)}"
    subprocess.run([ip, "netns", "add", name], check=True, capture_output=True)
    made = Namespace(name, ip)
    try:
        made.ip("link set lo up")
        yield made
    finally:
        subprocess.run([ip, "netns", "delete", name], check=True, capture_output=True)
