"""One line of what was seen of each topic, of one node or of many."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from envdoctor.columns import Crowd, Facts, ask, of_jobs, uncollected
from envdoctor.engine import needs, rows_of
from envdoctor.model import Scalar, Summary, Text, Topic, TopicFile, TopicLine

Said = tuple[Text, Mapping[str, Scalar]]


def summarise(
    files: Iterable[TopicFile], node_facts: Mapping[str, Facts], everybody: Mapping[str, Facts] | None = None
) -> tuple[TopicLine, ...]:
    """What was seen of each topic, in the order of the files; files may share a topic, the first to speak is heard.

    Of several nodes it is what most of them show. A topic whose summary fails or lacks a fact everywhere has a line
    without words.

    Args:
        everybody: the facts of nodes that did not answer too, for what is said of all together.
    """
    crowd = Crowd.of(node_facts)
    every = crowd if everybody is None else Crowd.of(everybody)
    lines: dict[str, TopicLine] = {}
    with uncollected(len(crowd)):
        for file in files:
            known = lines.get(file.topic.name)
            if known is None or known.text is None:
                lines[file.topic.name] = _summary_line(file, known.topic if known else file.topic, crowd, every)
    return tuple(lines.values())


def _summary_line(file: TopicFile, topic: Topic, crowd: Crowd, every: Crowd) -> TopicLine:
    if not isinstance(file.summary, Summary):
        return TopicLine(topic)
    line = file.summary.line

    def said(*facts: object) -> list[Said]:
        # A summary is an adornment: where it fails, the checks below it still speak.
        with contextlib.suppress(Exception):
            one = line(*facts)
            if one is not None:
                one[0].say("en", one[1])  # a value that does not fit its hole shows here
                hash(tuple(one[1].items()))
                return [one]
        return []

    try:
        wanted = needs(line)
        if any(need.kind == "per-node" for need in wanted):
            return TopicLine(topic, *next(iter(said(*[every.column(need.fact) for need in wanted])), ()))
        rows, lacking = rows_of(wanted, crowd)
    except Exception:
        return TopicLine(topic)
    elsewhere = sum(
        times for row, times in Counter(rows.of_node).items() if row in lacking and lacking[row].fact in of_jobs()
    )
    answers = ask(said, rows, lacking)
    told: dict[Any, tuple[Text, Mapping[str, Scalar], int]] = {}
    for row, times in Counter(rows.of_node).items():
        for text, values in answers.get(row, ()):
            key = text.en, tuple(values.items())
            told[key] = text, values, told[key][2] + times if key in told else times
    if not told:
        return TopicLine(topic)
    return _common_line(topic, list(told.values()), len(crowd) - elsewhere)


def _common_line(topic: Topic, told: list[tuple[Text, Mapping[str, Scalar], int]], nodes: int) -> TopicLine:
    """The line that most nodes share; where none is, that of the most common form, with its values from least to most
    or as far as they begin alike."""
    text, values, same = max(told, key=lambda one: one[2])
    if 2 * same > nodes or len(told) == 1:
        return TopicLine(topic, text, values, same, nodes)
    forms = Counter[str]()
    for each, _, times in told:
        forms[each.en] += times
    form = forms.most_common(1)[0][0]
    alike = [(own, times) for each, own, times in told if each.en == form]
    text = next(each for each, _, _ in told if each.en == form)
    shown: dict[str, Scalar] = {}
    usual: dict[str, Scalar] = {}
    for name in alike[0][0]:
        counted = Counter[Scalar]()
        for own, times in alike:
            counted[own.get(name)] += times
        value, times = counted.most_common(1)[0]
        if 2 * times > forms[form]:
            usual[name] = value
        shown[name] = value if name in usual else spread(list(counted))
    same = sum(times for own, times in alike if all(own.get(name) == value for name, value in usual.items()))
    return TopicLine(topic, text, shown, same, nodes)


class Span(str):
    """Numbers from least to most, each shown as the hole in the text asks: "34-38", and "75" where that is both."""

    def __new__(cls, low: float, high: float) -> Span:
        made = super().__new__(cls, f"{low}-{high}")
        made.ends = low, high
        return made

    ends: tuple[float, float]

    def __format__(self, spec: str) -> str:
        return "-".join(dict.fromkeys(format(end, spec) for end in self.ends))


def spread(values: Sequence[Scalar]) -> Scalar:
    """One value that stands for several: the same one, "least-most" of numbers, the common beginning of texts."""
    known = [value for value in values if value is not None]
    if not known or all(value == known[0] for value in known):
        return known[0] if known else None
    if all(isinstance(value, (int, float)) for value in known):
        numbers = [value for value in known if isinstance(value, (int, float))]
        return Span(min(numbers), max(numbers))
    # Characters are meant: "10.0.0" of two addresses.
    return os.path.commonprefix([str(value) for value in known]).rstrip(".") + "..."  # noqa: RUF071
