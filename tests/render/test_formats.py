"""envdoctor/render: json_report, github, junit, markdown"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from envdoctor.model import Node, Outcome, Problem, Report, Severity, Text, Topic, TopicLine
from envdoctor.redact import Redactor
from envdoctor.render import FORMATS, Style, renderer
from tests.render.reports import WARNING, check_for, report


def said(form: str, **style: object) -> str:
    return renderer(form).render(report(), Style(**style), Redactor(b"k" * 16))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_format_leaks_a_secret_or_an_escape_sequence(form: str, language: str) -> None:
    document = said(form, language=language, verbosity=2)
    assert "hunter2secret" not in document
    assert "\x1b" not in document
    assert document.endswith("\n")


def test_json_is_the_contract() -> None:
    document = json.loads(said("json"))
    assert list(document) == ["schema", "made_by", "taken_at", "seconds", "nodes", "findings", "outcomes", "tally"]
    assert document["schema"] == "envdoctor/report/1"
    assert document["nodes"] == [
        {"name": "gpu-a01", "python": "/opt/envs/train/bin/python", "python_version": "3.11.7"}
    ]
    first, second, warning, note = document["findings"]
    assert first == {
        "code": "driver-too-old",
        "topic": "driver",
        "severity": "error",
        "title": "the driver 535.104.05 is too old for CUDA 13.0",
        "why": "CUDA does not initialise",
        "evidence": {"driver": "535.104.05", "cuda": "13.0", "version": "2.10.0"},
        "nodes": ["gpu-a01"],
        "because_of": None,
        "fix": {"command": "pip install torch==2.10.0", "automatic": False},
    }
    assert second["because_of"] == "driver-too-old"
    assert second["fix"] is None
    assert (warning["severity"], note["severity"]) == ("warning", "note")
    skipped = document["outcomes"][4]
    assert skipped == {
        "check": "port_down",
        "topic": "rdma",
        "status": "skipped",
        "reason": "/sys/class/infiniband is absent",
        "seconds": 0.0,
    }
    assert document["tally"] == {"errors": 2, "warnings": 1, "notes": 1, "skipped": 1, "crashed": 2}


def test_github_annotates() -> None:
    lines = said("github").splitlines()
    assert lines[0].startswith(
        "::error title=driver-too-old%3A the driver 535.104.05 is too old for CUDA 13.0::CUDA does not"
    )
    assert "%0A" in lines[0]
    assert any(line.startswith("::warning title=pip-index-plain-http") for line in lines)
    assert not any("::notice" in line for line in lines)
    assert any("the check odd crashed" in line for line in lines)
    assert any(
        line.startswith("::notice title=gpu-persistence-off") for line in said("github", verbosity=1).splitlines()
    )


def test_junit_is_xml_with_a_case_for_every_check() -> None:
    root = ElementTree.fromstring(said("junit"))
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == {"driver", "gpu", "pip", "rdma", "shm", "disk", "check files"}
    failure = suites["driver"].find("testcase/failure")
    assert failure is not None
    assert failure.get("type") == "driver-too-old"
    assert suites["driver"].get("failures") == "1"
    assert suites["rdma"].get("skipped") == "1"
    assert suites["shm"].get("errors") == "1"
    assert suites["pip"].get("failures") == "0"
    out = suites["pip"].find("testcase/system-out")
    assert out is not None and out.text is not None
    assert out.text.startswith("warning[pip-index-plain-http]")


def test_markdown_escapes_what_would_be_markup() -> None:
    page = said("markdown")
    assert "### error `driver-too-old`: the driver 535.104.05 is too old for CUDA 13.0" in page
    assert "```sh\npip install torch==2.10.0\n```" in page
    assert "| driver | 535.104.05, CUDA 12.2 |" in page
    assert "`http://***" in page  # our own literal marks stay
    assert "- /sys/class/infiniband is absent" in said("markdown", verbosity=1)


@pytest.mark.parametrize("form", ["github", "markdown", "nagios"])
@pytest.mark.parametrize(("language", "skipped"), [("en", "1 not run"), ("zh", "1 项未检查")])
def test_an_option_is_named_only_where_one_can_give_it(form: str, language: str, skipped: str) -> None:
    page = said(form, language=language)
    assert skipped in page
    assert "(-v" not in page and "（-v" not in page


def test_markdown_names_no_python_where_there_is_none() -> None:
    texts = replace(report(), nodes=(Node("train.log"),))
    page = renderer("markdown").render(texts, Style(), Redactor(b"k" * 16))
    assert "\n- `train.log`\n" in page


def on_many_nodes(form: str, **style: object) -> str:
    """The report, its first finding on 63 of 64 nodes, the warning on one."""
    whole = report()
    names = tuple(f"gpu-a{number:02d}" for number in range(1, 65))
    cause, consequence, warning, *others = whole.findings
    found = (replace(cause, nodes=names[:63]), consequence, replace(warning, nodes=names[63:]), *others)
    nodes = tuple(replace(whole.nodes[0], name=name) for name in names)
    told = replace(whole, nodes=nodes, findings=found)
    return renderer(form).render(told, Style(**style), Redactor(b"k" * 16))  # type: ignore[arg-type]


def test_many_nodes_are_few_words_in_every_format() -> None:
    """One annotation, one failure, one heading: not one for each node, and it says which nodes."""
    github = on_many_nodes("github").splitlines()
    assert sum(1 for one in github if "driver-too-old" in one.partition("::C")[0]) == 1
    assert "CUDA 13.0 [gpu-a[01-63]]::" in github[0]
    assert any("[gpu-a64]" in one for one in github if one.startswith("::warning"))
    assert "[" not in said("github").splitlines()[0].partition("::CUDA")[0], "one node needs no name"

    root = ElementTree.fromstring(on_many_nodes("junit"))
    (failure,) = root.findall(".//failure[@type='driver-too-old']")
    assert failure.get("message", "").endswith("[gpu-a[01-63]]")
    told = root.findtext(".//testsuite[@name='pip']/testcase/system-out") or ""
    assert "[gpu-a64]" in told.splitlines()[0]

    page = on_many_nodes("markdown")
    assert "- `gpu-a[01-64]`, Python `/opt/envs/train/bin/python` 3.11.7\n" in page
    assert page.count("/opt/envs/train/bin/python") == 1
    assert "for CUDA 13.0 \\[gpu-a\\[01-63\\]\\]\n" in page


def hostile(form: str, **values: str | int | float) -> str:
    """A report on a node whose names and values try to pass for lines of the report, or for markup."""
    bad = "x\nerror[fake]: y\n::error::z\x1b]0;t\x07\u202e\u2066\u200b\x9b\udcff`| <b>"
    found = WARNING.found(**{"url": bad, **values})
    node = Node(bad, python=bad, python_version=bad)
    checks = (Outcome(check_for("index", "pip", WARNING), "ran", (found,)),)
    line = TopicLine(Topic("pip"), Text("{url}", "{url}"), {"url": bad})
    whole = Report("envdoctor 0.1.0", "2026", 1.0, (node, node), (replace(found, nodes=(bad, bad)),), checks, (line,))
    return renderer(form).render(whole, Style(verbosity=2), Redactor(b"k" * 16))


@pytest.mark.parametrize("form", FORMATS)
def test_no_value_passes_for_a_line_of_the_report(form: str) -> None:
    page = hostile(form)
    assert not [c for c in page if not c.isprintable() and c not in "\n\t"]
    own = ("# HELP envdoctor_", "# TYPE envdoctor_") if form == "prometheus" else ()
    lines = [one for one in page.splitlines() if not one.startswith(own)] if own else page.splitlines()
    assert not [one for one in lines if one.startswith(("error[fake]", "::error::z", "# "))]
    page.encode("utf-8")


def test_json_holds_what_every_reader_takes() -> None:
    page = hostile("json", url=float("inf"), size=float("nan"))
    assert json.loads(page, parse_constant=pytest.fail)["findings"][0]["evidence"]["size"] is None
    json.dumps(json.loads(hostile("json")), ensure_ascii=False).encode("utf-8")  # no lone surrogates


def test_a_value_that_does_not_fit_its_hole_costs_no_report() -> None:
    odd = Problem("odd", Severity.ERROR, Text("{url:.1f} {0}", "{url:.1f}"), Text("so", "so"))
    found = replace(odd.found(url="text"), nodes=("a",))
    checks = (Outcome(check_for("odd", "pip", odd), "ran", (found,)),)
    whole = Report("envdoctor 0.1.0", "2026", 1.0, (Node("a"),), (found,), checks, ())
    for form in FORMATS:
        assert "odd" in renderer(form).render(whole, Style(), Redactor(b"k" * 16))


def test_a_check_file_that_did_not_load_is_named_in_json() -> None:
    last = json.loads(said("json"))["outcomes"][-1]
    assert (last["status"], last["topic"]) == ("crashed", "")
