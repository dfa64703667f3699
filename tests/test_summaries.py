"""envdoctor/summaries.py"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from envdoctor import PerNode, Text, Topic, summary
from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.model import Scalar, TopicFile
from envdoctor.summaries import spread, summarise
from tests.fruits import Apples, Pears


def test_summaries() -> None:
    @summary
    def line(apples: Apples) -> tuple[Text, Mapping[str, Scalar]]:
        return Text("{n} apples", "{n} 个苹果"), {"n": 6 // apples.count}

    def file(name: str, own: object) -> TopicFile:
        return TopicFile(Topic(name), (), (), own, "")  # type: ignore[arg-type]

    files = (file("apples", None), file("apples", line), file("apples", line), file("pears", None))
    first, second = summarise(files, {"a": {Apples: Apples(2)}})
    assert first.text is not None and first.text.say("zh", first.values) == "3 个苹果"
    assert second.text is None
    assert summarise(files, {"a": {}})[0].text is None
    assert summarise(files, {"a": {Apples: Apples(0)}})[0].text is None, "a summary that raises is left out"


def summarised(*counts: int | None) -> tuple[str, int, int]:
    """The line of nodes with so many apples, of how many nodes it tells, and of how many there are."""

    @summary
    def line(apples: Apples, pears: Pears | None) -> tuple[Text, Mapping[str, Scalar]]:
        if not apples.count:
            return Text("none", "没有"), {}
        kind = "red" if apples.count < 10 else f"green {apples.count}"
        return Text("{n:.1f} {kind}", "{n:.1f} {kind}"), {"n": float(apples.count), "kind": kind}

    nodes: dict[str, Mapping[type, object]] = {
        f"n{at}": {} if count is None else {Apples: Apples(count)} for at, count in enumerate(counts)
    }
    (told,) = summarise([TopicFile(Topic("apples"), (), (), line, "")], nodes)
    return (told.text.say("en", told.values) if told.text else "", told.same, told.nodes)


def test_a_summary_of_several_nodes_is_what_most_of_them_show() -> None:
    assert summarised(2) == ("2.0 red", 1, 1)
    assert summarised(2, 2, 3) == ("2.0 red", 2, 3)
    assert summarised(2, 2, None, 2) == ("2.0 red", 3, 4)
    assert summarised(None, None) == ("", 1, 1)
    assert summarised(2, None) == ("2.0 red", 1, 2)


def test_values_that_all_nodes_have_their_own_of_are_told_from_least_to_most() -> None:
    assert summarised(2, 3, 4) == ("2.0-4.0 red", 3, 3)
    assert summarised(2, 3, 4, 0) == ("2.0-4.0 red", 3, 4), "another form of the line is not counted"
    assert summarised(11, 12) == ("11.0-12.0 green 1...", 2, 2)
    assert summarised(2, 3, 4, 11) == ("2.0-11.0 red", 3, 4), "what most have is said as it is"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((), None),
        ((None, None), None),
        ((3, None, 3), 3),
        (("a", "a"), "a"),
        ((1, 4, 2), "1-4"),
        (("ab1", "ab2"), "ab..."),
        (("10.0.0.1/24", "10.0.0.2/24"), "10.0.0..."),
    ],
)
def test_one_value_stands_for_several(values: tuple[Scalar, ...], told: Scalar) -> None:
    found = spread(values)
    assert (format(found, "") if isinstance(told, str) else found) == told


def test_what_is_shown_alike_is_one_number() -> None:
    assert f"{spread((75.1, 75.3)):.0f}" == "75"
    assert f"{spread((75.1, 75.3)):.1f}" == "75.1-75.3"


def test_a_summary_whose_signature_says_no_fact_has_no_words() -> None:
    @summary
    def line(whatever) -> None: ...  # type: ignore[no-untyped-def]

    (told,) = summarise([TopicFile(Topic("apples"), (), (), line, "")], {"a": {Apples: Apples(1)}})
    assert told.text is None


def test_a_summary_of_all_nodes_together_sees_also_those_that_did_not_answer() -> None:
    @summary
    def line(apples: PerNode[Apples]) -> tuple[Text, Mapping[str, Scalar]] | None:
        known = [fact.count for fact in apples.values() if isinstance(fact, Apples)]
        return (Text("{sum} on {of}", "{sum}/{of}"), {"sum": sum(known), "of": len(apples)}) if known else None

    files = [TopicFile(Topic("apples"), (), (), line, "")]
    heard: dict[str, Mapping[type, object]] = {"a": {Apples: Apples(2)}, "b": {Apples: Apples(3)}}
    (told,) = summarise(files, heard, {**heard, "c": {}})
    assert told.text is not None and told.text.say("en", told.values) == "5 on 3"
    assert (told.same, told.nodes) == (1, 1)
    assert summarise(files, {"a": {}})[0].text is None


def test_what_belongs_to_a_job_is_told_of_the_job() -> None:
    @summary
    def line(result: AllreduceResult) -> tuple[Text, Mapping[str, Scalar]]:
        return Text("{n} ranks", "{n}"), {"n": result.world_size}

    nodes: dict[str, Mapping[type, object]] = {"a": {AllreduceResult: AllreduceResult(world_size=2)}, "b": {}, "c": {}}
    (told,) = summarise([TopicFile(Topic("apples"), (), (), line, "")], nodes)
    assert (told.same, told.nodes) == (1, 1)
