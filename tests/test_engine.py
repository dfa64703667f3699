"""envdoctor/engine.py"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from envdoctor import Finding, Missing, PerNode, Problem, Severity, Text, check
from envdoctor.engine import Need, fold, needs, run
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.model import Check, Outcome
from tests.fruits import Apples, Pears


def problem(code: str, severity: Severity = Severity.ERROR, *causes: str) -> Problem:
    words = Text(code, code)
    return Problem(code, severity, words, words, caused_by=causes)


NONE_LEFT = problem("none-left")


@check(NONE_LEFT)
def none_left(apples: Apples) -> Iterable[Finding]:
    if not apples.count:
        yield NONE_LEFT.found(count=apples.count)


@check(NONE_LEFT)
def judges_absence(apples: Apples | Missing) -> Iterable[Finding]:
    if isinstance(apples, Missing):
        yield NONE_LEFT.found(reason=apples.reason)


@check(NONE_LEFT)
def optional(apples: Apples, pears: Pears | None) -> Iterable[Finding]:
    if pears is None:
        yield NONE_LEFT.found()


@check(NONE_LEFT)
def over_nodes(apples: PerNode[Apples]) -> Iterable[Finding]:
    assert isinstance(apples, Mapping)
    counts = {node: fact.count for node, fact in apples.items() if isinstance(fact, Apples)}
    few = [node for node, count in counts.items() if count < max(counts.values())]
    for node in few:
        yield Finding(NONE_LEFT, {"count": counts[node]}, nodes=(node,))


@check(NONE_LEFT)
def raises(apples: Apples) -> Iterable[Finding]:
    raise ZeroDivisionError("apples")


@check(NONE_LEFT)
def undeclared(apples: Apples) -> Iterable[Finding]:
    yield problem("something-else").found()


def only(made: Check, **facts: Mapping[type, object]) -> Outcome:
    (outcome,) = run([made], facts)
    return outcome


def test_the_signature_is_the_dependency_list() -> None:
    assert needs(none_left.judge) == (Need("apples", Apples, "required"),)
    assert [need.kind for need in needs(optional.judge)] == ["required", "optional"]
    assert needs(judges_absence.judge)[0].kind == "judged"
    assert needs(over_nodes.judge) == (Need("apples", Apples, "per-node"),)


def test_annotations_may_be_types_or_their_names() -> None:
    def eager(apples) -> None: ...  # type: ignore[no-untyped-def]

    eager.__annotations__ = {"apples": Apples, "return": None}
    assert needs(eager) == (Need("apples", Apples, "required"),)


def test_a_parameter_must_be_a_fact() -> None:
    def no_annotation(apples) -> None: ...  # type: ignore[no-untyped-def]

    def two_facts(apples: Apples | Pears) -> None: ...

    def no_type(apples: list[Apples]) -> None: ...

    for wrong in (no_annotation, two_facts, no_type):
        with pytest.raises(TypeError, match="apples"):
            needs(wrong)


def test_a_needed_fact_that_is_missing_skips_and_says_why() -> None:
    gone = Missing("apples", "denied", "the orchard is locked")
    outcome = only(none_left, a={Apples: gone})
    assert (outcome.status, outcome.missing) == ("skipped", gone)
    assert only(none_left, a={}).missing == Missing("apples", "not-here")


def test_absence_is_judged_where_the_check_asks_for_it() -> None:
    (finding,) = only(judges_absence, a={Apples: Missing("apples", "hung")}).findings
    assert finding.evidence == {"reason": "hung"}
    assert only(judges_absence, a={Apples: Apples(1)}).findings == ()


def test_an_optional_fact_is_none_when_missing() -> None:
    assert len(only(optional, a={Apples: Apples(), Pears: Missing("pears", "not-here")}).findings) == 1
    assert only(optional, a={Apples: Apples(), Pears: Pears()}).findings == ()


def test_a_check_that_raises_is_an_outcome_and_the_others_go_on() -> None:
    crashed, ran = run([raises, none_left], {"a": {Apples: Apples(0)}})
    assert (crashed.status, crashed.error) == ("crashed", "ZeroDivisionError: apples")
    assert "test_engine.py" in crashed.traceback
    assert ran.status == "ran"


def test_a_check_that_raised_on_a_node_is_not_asked_about_the_next() -> None:
    outcome = only(raises, a={Apples: Apples(0)}, b={Apples: Apples(1)})
    assert (outcome.status, outcome.error, outcome.skipped_on) == ("crashed", "ZeroDivisionError: apples", ())


def test_a_check_over_nodes_that_raises_is_an_outcome() -> None:
    @check(NONE_LEFT)
    def breaks(apples: PerNode[Apples]) -> Iterable[Finding]:
        raise KeyError(len(apples))

    assert (only(breaks, a={}, b={}).status, only(breaks, a={}, b={}).error) == ("crashed", "KeyError: 2")


def test_a_check_whose_signature_says_no_fact_is_an_outcome() -> None:
    @check(NONE_LEFT)
    def blind(whatever) -> Iterable[Finding]:  # type: ignore[no-untyped-def]
        return ()

    outcome = only(blind, a={}, b={})
    assert outcome.status == "crashed" and "says not which fact it is" in outcome.error


def test_a_check_may_report_only_what_it_declares() -> None:
    outcome = only(undeclared, a={Apples: Apples()})
    assert outcome.status == "crashed"
    assert "something-else" in outcome.error


def test_every_node_is_judged_and_named() -> None:
    outcome = only(none_left, a={Apples: Apples(0)}, b={Apples: Apples(3)}, c={Apples: Apples(0)})
    assert [finding.nodes for finding in outcome.findings] == [("a",), ("c",)]
    (merged,) = fold([outcome])
    assert merged.nodes == ("a", "c")


def test_a_check_over_nodes_sees_all_of_them() -> None:
    outcome = only(over_nodes, a={Apples: Apples(3)}, b={Apples: Apples(1)}, c={})
    assert [finding.nodes for finding in outcome.findings] == [("b",)]


def test_facts_that_several_nodes_share_are_judged_once() -> None:
    judged = []

    @check(NONE_LEFT)
    def counts(apples: Apples, pears: Pears | None) -> Iterable[Finding]:
        judged.append(apples.count)
        yield NONE_LEFT.found(count=apples.count)

    shared, pears = Apples(1), Pears()
    outcome = only(counts, a={Apples: shared}, b={Apples: Apples(2), Pears: pears}, c={Apples: shared}, d={})
    assert judged == [1, 2]
    assert [(finding.nodes, finding.evidence["count"]) for finding in outcome.findings] == [
        (("a",), 1),
        (("b",), 2),
        (("c",), 1),
    ]
    judged.clear()
    only(counts, a={Apples: shared}, b={Apples: shared, Pears: pears})
    assert judged == [1, 1], "every fact that a check looks at counts"


def test_a_check_that_names_nodes_itself_is_heard() -> None:
    @check(NONE_LEFT)
    def names(apples: Apples) -> Iterable[Finding]:
        yield Finding(NONE_LEFT, {"count": apples.count}, nodes=("elsewhere",))

    shared = Apples(1)
    (merged,) = fold([only(names, a={Apples: shared}, b={Apples: shared})])
    assert merged.nodes == ("elsewhere",)


def test_what_was_skipped_on_some_nodes_is_told_though_it_ran_on_others() -> None:
    gone, denied = Missing("apples", "hung"), Missing("apples", "denied")
    outcome = only(none_left, a={Apples: Apples(0)}, b={Apples: gone}, c={Apples: denied}, d={Apples: gone})
    assert (outcome.status, outcome.missing) == ("ran", None)
    assert outcome.skipped_on == ((gone, ("b", "d")), (denied, ("c",)))
    nowhere = only(none_left, b={Apples: gone}, c={Apples: denied})
    assert (nowhere.status, nowhere.missing, len(nowhere.skipped_on)) == ("skipped", gone, 2)


def test_what_one_node_has_for_all_is_not_lacking_on_the_others() -> None:
    def died(result: AllreduceResult) -> Iterable[Finding]:
        yield from ()

    lost = Missing("allreduce", "failed")
    outcome = only(check(NONE_LEFT)(died), a={AllreduceResult: AllreduceResult()}, b={}, c={AllreduceResult: lost})
    assert (outcome.status, outcome.skipped_on) == ("ran", ())
    assert only(check(NONE_LEFT)(died), b={}, c={}).status == "skipped"


def test_a_check_over_nodes_says_where_its_first_fact_is_not_known() -> None:
    hung, absent = Missing("apples", "hung"), Missing("apples", "not-here")
    outcome = only(over_nodes, a={Apples: Apples(3)}, b={Apples: hung}, c={Apples: absent}, d={})
    assert outcome.skipped_on == ((hung, ("b",)),), "what does not exist there is known"
    assert only(over_nodes, a={Apples: Apples(3)}).skipped_on == ()


def found(*findings: Finding) -> tuple[str, ...]:
    everything = [
        finding if finding.nodes else Finding(finding.problem, finding.evidence, nodes=("a",)) for finding in findings
    ]
    return tuple(finding.code for finding in fold([Outcome(none_left, "ran", tuple(everything))]))


def test_causes_come_first_and_the_worst_chain_leads() -> None:
    note_cause = problem("cause", Severity.NOTE)
    consequence = problem("consequence", Severity.ERROR, "absent", "cause")
    warning = problem("warning", Severity.WARNING)
    assert found(warning.found(), consequence.found(), note_cause.found()) == ("cause", "consequence", "warning")


def test_the_first_declared_cause_that_is_present_counts() -> None:
    outcome = Outcome(
        none_left,
        "ran",
        tuple(
            Finding(own, nodes=("a",))
            for own in (problem("late", Severity.ERROR, "unlikely", "likely"), problem("likely"), problem("unlikely"))
        ),
    )
    late = next(finding for finding in fold([outcome]) if finding.code == "late")
    assert late.because_of == "unlikely"


def test_a_cause_counts_on_its_own_node_only() -> None:
    cause, consequence = problem("cause"), problem("consequence", Severity.ERROR, "cause")
    findings = (Finding(cause, nodes=("a",)), Finding(consequence, nodes=("b",)))
    assert [finding.because_of for finding in fold([Outcome(none_left, "ran", findings)])] == [None, None]


def test_problems_that_blame_each_other_do_not_end_in_a_circle() -> None:
    one, two = problem("one", Severity.ERROR, "two"), problem("two", Severity.WARNING, "one")
    assert sorted(found(one.found(), two.found())) == ["one", "two"]


def test_a_long_chain_is_told_from_its_root() -> None:
    chain = [problem("c", Severity.ERROR, "b"), problem("b", Severity.NOTE, "a"), problem("a", Severity.NOTE)]
    assert found(*(own.found() for own in chain)) == ("a", "b", "c")


def test_a_last_resort_is_told_only_where_no_other_error_is() -> None:
    last = replace(problem("stopped"), last_resort=True)
    error, warning = problem("broken"), problem("slow", Severity.WARNING)

    def told(*problems: Problem) -> list[str]:
        found = tuple(Finding(one, nodes=("a",)) for one in problems)
        return [one.code for one in fold([Outcome(over_nodes, "ran", found)])]

    assert told(last) == ["stopped"]
    assert told(last, warning) == ["stopped", "slow"]
    assert told(last, error) == ["broken"]


@pytest.mark.parametrize(("nodes", "during"), [(2, True), (64, False)])
def test_of_many_nodes_nothing_is_collected_while_they_are_judged(nodes: int, during: bool) -> None:
    seen: list[bool] = []

    @check(NONE_LEFT)
    def watches(apples: Apples) -> Iterable[Finding]:
        seen.append(gc.isenabled())
        raise ZeroDivisionError

    run([watches], {f"n{number}": {Apples: Apples(number)} for number in range(nodes)})
    assert seen == [during] and gc.isenabled()
    gc.disable()
    try:
        run([watches], {f"n{number}": {Apples: Apples(number)} for number in range(nodes)})
        assert not gc.isenabled(), "whoever has switched it off decides"
    finally:
        gc.enable()
