"""envdoctor/render/prometheus.py, read by the parser of Prometheus' own client"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from envdoctor.model import Finding, Node, Outcome, Report
from envdoctor.redact import Redactor
from envdoctor.render import Style, prometheus
from tests.render.reports import CAUSE, HOSTILE_URL, WARNING, check_for, report

REDACTOR = Redactor(b"k" * 16)
Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


def samples(page: str) -> Samples:
    """Metric -> labels -> value; every metric is described, typed and told once."""
    found: Samples = {}
    for family in text_string_to_metric_families(page):
        assert family.documentation and family.type == "gauge", family
        assert family.name not in found
        found[family.name] = {}
        for sample in family.samples:
            key = tuple(sorted(sample.labels.items()))
            assert sample.name == family.name and key not in found[family.name]
            found[family.name][key] = sample.value
    return found


def of(told: Report) -> Samples:
    return samples(prometheus.render(told, Style(), REDACTOR))


def test_a_report() -> None:
    told = of(report())
    assert told["envdoctor_findings"] == {
        (("severity", "error"),): 2, (("severity", "warning"),): 1, (("severity", "note"),): 1,
    }  # fmt: skip
    key = (("code", "driver-too-old"), ("severity", "error"), ("topic", "driver"))
    assert told["envdoctor_problem_nodes"][key] == 1
    assert told["envdoctor_problem"][(("code", "driver-too-old"), ("node", "gpu-a01"), ("severity", "error"))] == 1
    assert told["envdoctor_checks"][(("status", "crashed"),)] == 2
    assert told["envdoctor_success"] == {(): 0}
    assert told["envdoctor_last_run_timestamp_seconds"] == {(): 1763640000 + 365 * 86400}
    assert told["envdoctor_run_duration_seconds"] == {(): 1.34}
    assert told["envdoctor_build_info"] == {(("version", "0.1.0"),): 1}


def test_a_machine_without_problems_says_so_in_numbers() -> None:
    ran = Outcome(check_for("fine", "disk"), "ran")
    told = of(Report("envdoctor 0.1.0", "2026-11-20T12:00:00Z", 1.0, (Node("a"),), (), (ran,), ()))
    assert set(told["envdoctor_findings"].values()) == {0}
    assert told["envdoctor_success"] == {(): 1}
    assert "envdoctor_problem" not in told


def test_the_number_of_series_is_bounded_and_what_is_left_out_is_counted() -> None:
    nodes = tuple(f"node{number:04d}" for number in range(3000))
    found = (Finding(CAUSE, {}, nodes=nodes[:1500]), Finding(WARNING, {"url": "x"}, nodes=nodes))
    told = of(replace(report(), findings=found, nodes=tuple(Node(name) for name in nodes)))
    assert len(told["envdoctor_problem"]) == prometheus.MOST
    assert told["envdoctor_problem_series_left_out"] == {(): 2500}
    errors = [key for key in told["envdoctor_problem"] if ("severity", "error") in key]
    assert len(errors) == 1500, "the worst are kept"
    assert sum(told["envdoctor_problem_nodes"].values()) == 4500


def test_two_findings_of_one_code_on_a_node_are_one_series() -> None:
    found = (Finding(WARNING, {"url": "a"}, nodes=("n",)), Finding(WARNING, {"url": "b"}, nodes=("n",)))
    told = of(replace(report(), findings=found))
    assert list(told["envdoctor_problem"].values()) == [2]


def test_evidence_is_no_label() -> None:
    page = prometheus.render(report(), Style(verbosity=2), REDACTOR)
    assert HOSTILE_URL.split("/")[2] not in page and "mirror.example" not in page


def test_a_run_that_failed_has_no_counts() -> None:
    told = samples(prometheus.failure("envdoctor 0.1.0", "2026-11-20T12:00:00Z"))
    assert told["envdoctor_success"] == {(): 0}
    assert "envdoctor_findings" not in told
    assert "envdoctor_last_run_timestamp_seconds" not in samples(prometheus.failure("x", "yesterday"))


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=30))
def test_no_name_breaks_the_format(name: str, other: str, made_by: str) -> None:
    found = (Finding(CAUSE, {}, nodes=(name, other)),)
    told = of(replace(report(), findings=found, nodes=(Node(name), Node(other)), made_by=made_by))
    assert sum(told["envdoctor_problem"].values()) == len({name, other})
