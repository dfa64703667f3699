"""checks/hung_nodes.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.reached import Reach, Reached
from envdoctor.facts.shell_files import ShellFiles, ShellLine, StartUpFile
from envdoctor.testing import Case
from tests import CHECKS
from tests.checks.test_reach_nodes import by, one

FILE = CHECKS / "hung_nodes.py"

CASES = [
    Case("all were reached", (Reached((Reach("gpu01", outcome="ok"), Reach("gpu02", outcome="ok"))),)),
    Case("one is down", one("timeout")),
    Case("no word in time", one("silent", "", None), {"node-hung": "error"}),
    Case("a step that says nothing", by("srun", "silent"), {"node-hung": "error"}),
    Case("sshd hangs over the keys in the home", one("login-hangs", "Connection to 10.0.0.2 port 22 timed out"),
         {"node-hung": "error"}),
    Case("it went silent in the midst of it", one("hung", "disks", None), {"node-hung": "error"}),
    Case("it went silent between two sections", one("hung", "", None), {"node-hung": "error"}),
    Case("it was killed in the midst of it", one("died", "Killed", 137), {"node-hung": "error"}),
    Case("a forced command answers", one("invalid", "Welcome to the menu", 0), {"node-answer-invalid": "error"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


@pytest.mark.parametrize(
    ("tried", "named", "look"),
    [
        ("/nfs/my env/bin/python", "/nfs/my env/bin/python hangs", "ssh gpu02 'timeout -s KILL 5 ls -lL "),
        ("PATH=/nfs/bin:/usr/bin", "a folder on PATH", "ssh gpu02 'cat /proc/mounts'"),
    ],
)
def test_what_a_shell_there_fell_silent_over_is_named(tried: str, named: str, look: str) -> None:
    there = Reached((Reach("gpu01", outcome="ok"), Reach("gpu02", outcome="silent", tried=tried)))
    (found,) = Case("", (there,), {"node-hung": "error"}).assert_holds(FILE)
    assert found.words.title is not None and found.words.seen is not None
    assert named in found.words.title.say("en", found.evidence)
    assert found.words.seen.say("en", found.evidence).endswith(tried)
    assert found.look is not None and found.look.startswith(look)


def test_a_host_that_fell_silent_is_named_and_not_those_that_answered() -> None:
    (found,) = Case("", one("hung", "disks", None), {"node-hung": "error"}).assert_holds(FILE)
    assert (found.nodes, found.evidence["section"]) == (("gpu02",), "disks")


@pytest.mark.parametrize(
    ("way", "host", "look"),
    [
        ("docker", "trainer", "docker exec trainer sh -c 'df -h .'"),
        ("kubectl", "ml/trainer-0:main", "kubectl exec -n ml trainer-0 -c main -- sh -c 'df -h .'"),
        ("srun", "gpu02", "srun --overlap -N 1 -n 1 -w gpu02 sh -c 'df -h .'"),
    ],
)
def test_what_shows_more_goes_the_same_way(way: str, host: str, look: str) -> None:
    (found,) = Case("", by(way, "silent", host), {"node-hung": "error"}).assert_holds(FILE)
    assert found.look == look


def test_what_start_up_files_enter_is_shown_from_a_node_that_answered() -> None:
    lines = tuple(ShellLine("/home/ada/.bashrc", number, "enters", value=f"/data/{number}") for number in range(1, 6))
    files = ShellFiles("bash", "/home/ada", (StartUpFile("/home/ada/.bashrc", "bash", lines[:1]),))
    ok, silent = Reached((Reach("gpu01", outcome="ok"),)), Reached((Reach("gpu02", outcome="silent"),))
    nodes = {"gpu01": (ok, files), "gpu02": (silent,)}
    (found,) = Case("", nodes=nodes, expect={"node-hung": "error"}).assert_holds(FILE)
    assert (found.situation, found.nodes) == ("shell-enters", ("gpu02",))
    assert found.words.seen is not None
    told = "in time; the start-up files of gpu01 enter /data/1 (/home/ada/.bashrc:1)"
    assert found.words.seen.say("en", found.evidence).endswith(told)
    assert found.look is not None and found.look.startswith("grep -nE ")
    many = replace(files, files=(StartUpFile("/home/ada/.bashrc", "bash", lines),))
    (found,) = Case("", nodes={**nodes, "gpu01": (ok, many)}, expect={"node-hung": "error"}).assert_holds(FILE)
    assert str(found.evidence["entered"]).endswith("/data/4 (/home/ada/.bashrc:4), ...")
    (found,) = Case("", nodes={"gpu01": (ok,), "gpu02": (silent,)}, expect={"node-hung": "error"}).assert_holds(FILE)
    assert found.situation == "shell"


@pytest.mark.parametrize("outcome", ["hung", "died", "login-hangs"])
def test_start_up_files_of_another_node_are_no_evidence_where_the_shell_came_to_its_end(outcome: str) -> None:
    entering = ShellLine("/home/ada/.bashrc", 1, "enters", value="/data")
    files = ShellFiles("bash", "/home/ada", (StartUpFile("/home/ada/.bashrc", "bash", (entering,)),))
    ok, silent = Reached((Reach("gpu01", outcome="ok"),)), Reached((Reach("gpu02", outcome=outcome),))
    nodes = {"gpu01": (ok, files), "gpu02": (silent,)}
    (found,) = Case("", nodes=nodes, expect={"node-hung": "error"}).assert_holds(FILE)
    assert not {"other", "entered"} & set(found.evidence)
