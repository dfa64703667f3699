"""envdoctor/decode.py"""

from __future__ import annotations

import subprocess
import sys

import pytest

from envdoctor import decode, facts
from envdoctor.model import Missing
from tests import ROOT

# Threads that all convert to the same classes for the first time, and are interrupted as often as can be.
TOGETHER = """
import sys, threading
sys.setswitchinterval(1e-6)
sys.path.insert(0, sys.argv[1])
from envdoctor import decode, facts
from envdoctor.bench import index_page
start = threading.Barrier(6)
def facts_():
    for name in facts.KINDS:
        decode.fact(name, {})
def pages():
    index_page.read(b'{"files": []}', "application/vnd.pypi.simple.v1+json", "https://host/")
def run(function):
    start.wait()
    function()
threads = [threading.Thread(target=run, args=(one,)) for one in (facts_, pages) * 3]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.mark.parametrize("turn", range(3))
def test_several_threads_decode_at_once(turn: int) -> None:
    done = subprocess.run([sys.executable, "-c", TOGETHER, str(ROOT)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_value_that_does_not_fit_is_missing_and_says_why() -> None:
    found = decode.fact("host", {"name": 7})
    assert isinstance(found, Missing)
    assert (found.fact, found.reason) == ("host", "invalid") and "name" in found.detail


@pytest.mark.parametrize("name", sorted(facts.KINDS))
def test_every_fact_comes_back_from_its_json(name: str) -> None:
    found = decode.fact(name, {})
    assert isinstance(found, facts.kind(name))
    assert decode.fact(name, decode.encode(found)) == found
