"""envdoctor/render: one report on many nodes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rich.cells import cell_len

from envdoctor.model import Finding, Missing, Node, Outcome, Report, Severity, Text, TopicLine
from envdoctor.redact import Redactor
from envdoctor.render import Style, renderer
from tests.render.reports import CAUSE, CONSEQUENCE, check_for, report

NAMES = tuple(f"gpu{number:02d}" for number in range(1, 65))
HUNG, DENIED = Missing("rdma", "hung"), Missing("gpu", "denied")


def on(*names: str, **changes: object) -> Report:
    whole = report()
    nodes = tuple(replace(whole.nodes[0], name=name) for name in names)
    return replace(whole, **{"nodes": nodes, **changes})  # type: ignore[arg-type]


def said(told: Report, form: str = "text", **style: object) -> str:
    return renderer(form).render(told, Style(**style), Redactor(b"k" * 16))  # type: ignore[arg-type]


def test_the_heading_says_how_many_and_which() -> None:
    assert said(on(*NAMES)).startswith("envdoctor 0.1.0 on 64 nodes, gpu[01-64], looking at /opt/envs/train/bin/python")
    assert said(on(*NAMES), language="zh").startswith("envdoctor 0.1.0，64 个节点 gpu[01-64]，检查对象 /opt")


def test_nodes_with_another_python_have_a_line_of_their_own() -> None:
    first, second, third = on("a1", "a2", "a3").nodes
    told = on("a1", nodes=(first, replace(second, python="/usr/bin/python3", python_why=""), third))
    two, one = said(told).splitlines()[:2]
    assert two.startswith("envdoctor 0.1.0 on 2 nodes, a[1,3], looking at /opt/envs/train/bin/python (3.11.7) - ")
    assert one == "envdoctor 0.1.0 on a2, looking at /usr/bin/python3 (3.11.7)"
    texts = on("a1", nodes=(Node("train.log"), Node("run.log")))
    assert "on the text of train.log,run.log" in said(texts)


def test_a_topic_says_on_how_many_nodes_it_is_so() -> None:
    line = replace(report().topics[0], same=62, nodes=64)
    told = on(*NAMES, topics=(line, TopicLine(line.topic, Text("", ""), {}, 1, 64)))
    assert "535.104.05, CUDA 12.2 on 62 of 64\n" in said(told)
    assert "535.104.05,CUDA 12.2（62/64 个节点）" in said(told, language="zh")
    assert "| 535.104.05, CUDA 12.2 on 62 of 64 |" in said(told, "markdown")


def test_a_finding_names_its_nodes_as_a_block() -> None:
    cause = Finding(CAUSE, {"driver": "535.1", "cuda": "13.0", "version": "2.10.0"}, nodes=NAMES[:7])
    assert "too old for CUDA 13.0 [gpu[01-07]]\n" in said(on(*NAMES, findings=(cause,)))


def old(number: int) -> Finding:
    values = {"driver": f"535.{number}", "cuda": "13.0", "version": "2.10.0"}
    return Finding(CAUSE, values, nodes=(NAMES[number],))


def test_the_same_with_other_values_is_one_block() -> None:
    page = said(on(*NAMES, findings=tuple(map(old, range(60)))))
    assert page.count("error[driver-too-old]") == 1
    assert "the driver 535.0 is too old for CUDA 13.0 [gpu[01-60]]" in page
    assert "gpu02: the driver 535.1 is too old for CUDA 13.0" in page
    assert "... (+56)" in page
    assert page.count(" is too old for CUDA 13.0") == 4
    assert "gpu02：驱动" in said(on(*NAMES, findings=tuple(map(old, range(60)))), language="zh")


def test_few_of_them_are_told_one_by_one() -> None:
    assert said(on(*NAMES, findings=(old(0), old(1), old(2)))).count("error[driver-too-old]") == 3


def test_braces_in_what_is_quoted_are_no_holes() -> None:
    odd = tuple(
        replace(old(number), evidence={**old(number).evidence, "driver": f"{{{number}}}"}) for number in range(5)
    )
    assert "gpu02: the driver {1} is too old" in said(on(*NAMES, findings=odd))


def test_what_follows_on_many_nodes_is_said_once() -> None:
    followed = tuple(
        Finding(CONSEQUENCE, {"devices": number}, nodes=(NAMES[number],), because_of="driver-too-old")
        for number in range(3)
    )
    page = said(on(*NAMES, findings=(old(0), *followed)))
    assert page.count("[gpu-not-visible]") == 1
    assert "(+2) [gpu-not-visible]" in page


def partly(*lacks: tuple[Missing, tuple[str, ...]]) -> Report:
    check = check_for("port_down", "rdma")
    return on(*NAMES, outcomes=(Outcome(check, "ran", skipped_on=lacks), *report().outcomes[:1]))


def test_what_was_not_checked_on_some_nodes_is_said() -> None:
    told = partly((HUNG, NAMES[:2]), (DENIED, NAMES[5:6]))
    assert "rdma    1 not checked on gpu[01-02,06]\n" in said(told)
    assert "gpu[01-02,06] 上 1 项未检查" in said(told, language="zh")
    summed = replace(told, topics=tuple(replace(line, text=Text("here", "有")) for line in told.topics))
    assert "有（gpu[01-02,06] 上 1 项未检查）\n" in said(summed, language="zh")
    page = said(told, verbosity=1)
    assert "  rdma: hung [gpu[01-02]]: port_down\n" in page
    assert "  gpu: not permitted [gpu06]: port_down\n" in page
    everywhere = on(
        *NAMES, outcomes=(Outcome(check_for("a", "rdma"), "skipped", missing=HUNG, skipped_on=((HUNG, NAMES),)),)
    )
    assert "  rdma: hung: a\n" in said(everywhere, verbosity=1)


def test_thousands_of_reasons_are_cut() -> None:
    lacks = tuple((Missing("rdma", "slow", f"{number} s"), (f"n{number}",)) for number in range(4096))
    page = said(partly(*lacks), verbosity=1)
    assert "... (+4036)" in page
    assert len(page.splitlines()) < 100


def test_json_names_the_nodes_and_keeps_its_shape_elsewhere() -> None:
    document = json.loads(said(partly((HUNG, NAMES[:2])), "json"))
    first, second = document["outcomes"][:2]
    assert (first["status"], first["reason"]) == ("ran", None)
    assert first["skipped_on"] == [{"reason": "rdma: hung", "nodes": ["gpu01", "gpu02"]}]
    assert "skipped_on" not in second


@pytest.mark.parametrize("language", ["en", "zh"])
def test_at_eighty_columns_no_line_of_prose_is_wider(language: str) -> None:
    notes = tuple(replace(old(number), severity_given=Severity.WARNING) for number in range(40))
    page = said(on(*NAMES, findings=notes), width=80, language=language)
    assert max(map(cell_len, page.splitlines())) <= 80


def test_a_node_that_was_not_reached_is_said_once_and_not_in_every_topic() -> None:
    lost = Node("gpu02", "gpu02")
    whole = on("gpu01", nodes=(report().nodes[0], lost))
    lacked = Outcome(check_for("driver_too_old", "driver", CAUSE), "ran", skipped_on=((DENIED, ("gpu02",)),))
    told = said(replace(whole, outcomes=(lacked,), findings=()))
    assert "did not get to look at gpu02" in told
    assert "not checked on" not in told
    assert "not checked on gpu02" in said(replace(whole, nodes=(report().nodes[0], Node("gpu02")), outcomes=(lacked,)))


def test_where_no_node_was_reached_no_topic_is_listed_as_not_checked() -> None:
    lacked = Outcome(check_for("driver_too_old", "driver", CAUSE), "skipped", missing=DENIED)
    whole = on("gpu01", outcomes=(lacked,), findings=())
    assert "not checked" in said(whole)
    assert "not checked" not in said(replace(whole, nodes=(Node("gpu01", "gpu01"),)))


def test_the_sides_of_a_difference_stand_in_one_column_and_other_values_do_not() -> None:
    apart = replace(CAUSE, seen=Text("{sides}\nby: {driver}", "各节点的值：\n{sides}"))
    values = {"sides": "gpu02: 1500\ngpu01: 9000", "driver": "x\nso  fine", "cuda": "13.0", "version": "2.10.0"}
    told = on("gpu01", "gpu02", findings=(Finding(apart, values, nodes=("gpu02",)),))
    assert "\n  seen  gpu02: 1500\n        gpu01: 9000\n        by: x\n          so  fine\n" in said(told)
    assert "\n  观测  各节点的值：\n        gpu02: 1500\n        gpu01: 9000\n" in said(told, language="zh")


def last_line(told: Report, **style: object) -> str:
    return said(told, **style).splitlines()[-1]  # type: ignore[arg-type]


def test_the_tally_counts_what_is_told_and_its_nodes() -> None:
    many = on(*NAMES, findings=tuple(map(old, range(36))))
    assert last_line(many).startswith("1 error on 36 nodes; 7 checks in 1.3 s")
    assert last_line(many, language="zh").startswith("1 个错误（36 个节点）；7 项检查，用时 1.3 秒")
    assert last_line(on(*NAMES, findings=(old(0), old(1)))).startswith("2 errors on 2 nodes; ")
    assert last_line(on(*NAMES, findings=(old(7),))).startswith("1 error on 1 node; ")
    assert last_line(on(*NAMES, findings=tuple(map(old, range(64))))).startswith("1 error on all 64 nodes; ")


def test_a_note_is_counted_without_its_nodes() -> None:
    whole = report()
    notes = replace(whole.findings[3], nodes=NAMES[:9])
    warning = replace(whole.findings[2], nodes=NAMES[:5])
    assert last_line(on(*NAMES, findings=(old(0), warning, notes))).startswith(
        "1 error on 1 node, 1 warning on 5 nodes, 1 note; "
    )


def test_json_counts_every_finding() -> None:
    told = json.loads(said(on(*NAMES, findings=tuple(map(old, range(36)))), "json"))
    assert told["tally"]["errors"] == len(told["findings"]) == 36


@pytest.mark.parametrize(("form", "mark"), [("markdown", "### error `driver"), ("github", "::error title=driver")])
def test_other_formats_tell_the_same_once_too(form: str, mark: str) -> None:
    assert said(on(*NAMES, findings=tuple(map(old, range(36)))), form).count(mark) == 1


def test_what_is_not_checked_is_one_remark() -> None:
    whole = report()
    partly = replace(whole.outcomes[0], skipped_on=((DENIED, NAMES[:1]),))
    page = said(on(*NAMES, outcomes=(partly, replace(whole.outcomes[4], check=check_for("odd", "driver")))))
    assert "535.104.05, CUDA 12.2 (1 not checked, 1 not checked on gpu01)\n" in page


def test_a_topic_that_says_nothing_says_how_many_checks_found_nothing() -> None:
    whole = report()
    silent = replace(whole, topics=(TopicLine(whole.topics[5].topic),))
    assert "✓ disk  1 check, nothing found\n" in said(silent)
    assert "✓ disk  1 项检查，没有发现问题\n" in said(silent, language="zh")
