"""envdoctor/host_lists.py"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from envdoctor import host_lists
from envdoctor.facts.hostlist import expand
from envdoctor.model import Finding, Node, Report
from tests.render.reports import CAUSE, NOTE, WARNING

ERROR, WARNED, NOTED = Finding(CAUSE, {}), Finding(WARNING, {"url": "x"}), Finding(NOTE, {})


def report(nodes: list[Node], *findings: Finding) -> Report:
    return Report("envdoctor 0.1.0", "", 1.0, tuple(nodes), findings, (), ())


def on(finding: Finding, *nodes: str) -> Finding:
    return replace(finding, nodes=nodes)


NODES = [Node("gpu-a01", "a01"), Node("gpu-a02", "a02"), Node("gpu-a03")]


def test_hosts_go_by_the_name_the_user_gave_them() -> None:
    told = host_lists.sort(report(NODES, on(ERROR, "gpu-a02"), on(WARNED, "gpu-a03"), on(NOTED, "gpu-a01")))
    assert (told.good, told.bad) == (("a01", "gpu-a03"), ("a02",))


def test_what_fails_is_what_the_user_says_and_an_error_always() -> None:
    told = report(NODES, on(ERROR, "gpu-a02"), on(WARNED, "gpu-a03"))
    assert host_lists.sort(told, ("error", "warning")).bad == ("a02", "gpu-a03")
    assert host_lists.sort(told, ()).bad == ("a02",)


def test_a_host_that_a_finding_names_and_no_node_answers_for_is_bad() -> None:
    told = host_lists.sort(report(NODES, on(ERROR, "a04")))
    assert told.bad == ("a04",)
    assert "a04" not in told.good


def test_snapshots_of_one_name_are_one_host_and_bad_if_one_is() -> None:
    twins = [Node("vm"), Node("vm #2"), Node("box (10.0.0.1)", "10.0.0.1"), Node("box (10.0.0.2)", "10.0.0.2")]
    told = host_lists.sort(report(twins, on(ERROR, "vm #2"), on(ERROR, "box (10.0.0.2)")))
    assert (told.good, told.bad) == (("10.0.0.1",), ("vm", "10.0.0.2"))


def test_a_name_that_is_no_host_is_in_neither_list() -> None:
    odd = [Node("a b"), Node("-oProxyCommand=x"), Node("n[1-9]"), Node("a,b"), Node(""), Node("fine")]
    told = host_lists.sort(report(odd, on(ERROR, "x\ny")))
    assert (told.good, told.bad) == (("fine",), ())
    assert len(told.unnamed) == 6


@given(st.lists(st.text(max_size=12), unique=True, max_size=6), st.data())
def test_every_host_is_in_one_list_and_a_line_of_it_is_one_host(names: list[str], data: st.DataObject) -> None:
    sick = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    told = host_lists.sort(report([Node(name) for name in names], on(ERROR, *sick)))
    assert not set(told.good) & set(told.bad)
    for host in told.good + told.bad:
        assert expand(f"{host}\n") == (host,)
