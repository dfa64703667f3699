"""checks/reach_nodes.py"""

from __future__ import annotations

import pytest

from envdoctor.facts.reached import Reach, Reached
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.lines import line_of

FILE = CHECKS / "reach_nodes.py"
DENIED = "ada@gpu02: Permission denied (publickey,password)."


def one(outcome: str, said: str = "", status: int | None = 255) -> tuple[Reached]:
    return (Reached((Reach("gpu01", outcome="ok", status=0), Reach("gpu02", "ssh", outcome, said, status))),)


def by(way: str, outcome: str, host: str = "trainer", status: int | None = 1) -> tuple[Reached]:
    return (Reached((Reach(host, way, outcome, "its words", status),)),)


CASES = [
    Case("all were reached", (Reached((Reach("gpu01", outcome="ok"), Reach("gpu02", outcome="ok"))),)),
    Case("no host at all", (Reached(),)),
    Case("it was reached and fell silent, which is told elsewhere", one("silent", "", None)),
    *(
        Case(f"not reached: {outcome}", one(outcome), {"node-unreachable": "error"})
        for outcome in (
            "unresolvable", "refused", "timeout", "no-route", "no-banner", "host-key-unknown", "host-key-changed",
            "closed", "cut", "no-login",
        )
    ),
    Case("no key there", one("denied", DENIED), {"node-unreachable": "error"}),
    Case("ssh fails for a reason of its own", one("failed", "Bad owner on config"), {"node-unreachable": "error"}),
    Case("no Python there", one("no-python", "envdoctor: no Python", 127), {"node-unreachable": "error"}),
    Case("an account without a shell", one("not-executed", "not available", 1), {"node-unreachable": "error"}),
    *(
        Case(f"a container is not reached: {outcome}", by("docker", outcome), {"node-unreachable": "error"})
        for outcome in ("no-container", "not-running", "no-daemon", "no-shell", "failed")
    ),
    *(
        Case(f"Slurm does not reach it: {outcome}", by("srun", outcome), {"node-unreachable": "error"})
        for outcome in (
            "busy", "not-allocated", "node-down", "job-over", "no-controller", "no-slurmd", "unauthenticated", "failed",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_host_is_named_and_not_those_that_were_reached() -> None:
    (found,) = Case("", one("denied", DENIED), {"node-unreachable": "error"}).assert_holds(FILE)
    assert found.nodes == ("gpu02",)
    assert found.evidence["said"] == DENIED
    assert found.command == "ssh-copy-id gpu02"


def test_a_node_that_tells_of_itself_has_the_name_of_the_report() -> None:
    alone = (Reached((Reach("alias", "ssh", "denied", DENIED, 255),)),)
    (found,) = Case("", alone, {"node-unreachable": "error"}).assert_holds(FILE)
    assert found.nodes != ("alias",)


def test_commands_reach_the_host_as_the_benchmark_did() -> None:
    there = Reach("gpu02", "ssh", "host-key-unknown", user="ada", port=2222)
    (found,) = Case("", (Reached((there,)),), {"node-unreachable": "error"}).assert_holds(FILE)
    assert found.command == "ssh -p 2222 ada@gpu02 true"


def test_every_outcome_has_words() -> None:
    """What ssh's words are sorted into is known to the check."""
    from envdoctor.transport import srun, ssh

    (problem,) = (one for one in topic_file(FILE).problems if one.code == "node-unreachable")
    hangs = "login-hangs"  # told as node-hung, and tried above
    assert {outcome for _, outcome in (*ssh.OUTCOMES, *srun.OUTCOMES)} <= {hangs, *problem.situations}


def test_a_job_that_is_over_is_told_once_for_all_its_nodes() -> None:
    over = [Reach(f"gpu0{place}", "srun", "job-over", "srun: error: Slurm job 7 has expired", 1) for place in (1, 2)]
    there = Reached((*over, Reach("gpu03", "srun", "no-slurmd", "srun: error: it failed", 1)))
    first, second = Case("", (there,), {"node-unreachable": "error"}).assert_holds(FILE)
    assert (first.nodes, second.nodes) == (("gpu01", "gpu02"), ("gpu03",))
    assert first.evidence["said"] == "srun: error: Slurm job 7 has expired"


@pytest.mark.parametrize(
    ("way", "outcome", "host", "look"),
    [
        ("docker", "no-container", "trainer", "docker ps -a"),
        ("docker", "not-running", "trainer", "docker logs --tail 20 trainer"),
        ("kubectl", "no-container", "ml/trainer-0:main", "kubectl get pods -n ml"),
        ("kubectl", "no-container", "trainer-0", "kubectl get pods -A"),
        ("kubectl", "not-running", "ml/trainer-0:main", "kubectl logs -n ml --tail 20 trainer-0"),
    ],
)
def test_what_shows_more_goes_the_same_way(way: str, outcome: str, host: str, look: str) -> None:
    (found,) = Case("", by(way, outcome, host), {"node-unreachable": "error"}).assert_holds(FILE)
    assert found.look == look


def test_the_topic_s_line() -> None:
    ok, gone = Reached((Reach("a", outcome="ok"),)), Reached((Reach("b", outcome="timeout"),))
    assert line_of(FILE, {"a": (ok,)}) == "1 node answered over ssh"
    assert line_of(FILE, {"a": (ok,), "c": (ok,)}) == "2 nodes answered over ssh"
    assert line_of(FILE, {"a": (ok,), "b": (gone,), "c": ()}) == "1 of 2 nodes answered over ssh"
    assert line_of(FILE, {"a": (Reached(ok.hosts + gone.hosts),)}, "zh") == "2 个节点中 1 个经 ssh 应答"
    assert line_of(FILE, {"a": (Reached(),)}) == ""
