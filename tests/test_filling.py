"""envdoctor/filling.py, and what every English sentence with a number in it keeps to."""

from __future__ import annotations

import re

import pytest

from envdoctor.filling import counted, fill, pieces
from envdoctor.model import Text
from tests.sentences import Sentence, sentences

DOWN = "{count} {count:node is|nodes are} down, {names}"


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 nodes are down, a"), (1, "1 node is down, a"), ("1", "1 node is down, a"), (2, "2 nodes are down, a"),
        (None, "? nodes are down, a"), ("1-3", "1-3 nodes are down, a"),
    ],
)  # fmt: skip
def test_a_word_goes_with_its_number(count: object, said: str) -> None:
    assert fill(DOWN, {"count": count, "names": "a"}) == said


def test_formats_and_values_that_are_not_known_are_as_without_such_a_word() -> None:
    assert fill("{a:.1f} {b} {n:file|files}", {"a": 0.25, "n": 1}) == "0.2 ? file"
    assert fill("{a[0]} {{n:x|y}} || {n:x|y}", {"a": "bc", "n": 2}) == "b {n:x|y} || y"
    with pytest.raises(ValueError, match="format code"):
        fill("{a:.1f} {n:file|files}", {"a": "b", "n": 1})


def test_values_are_never_templates() -> None:
    assert fill("{names} {n:x|y}", {"names": "{n:x|y}", "n": 1}) == "{n:x|y} x"


def test_a_number_of_things() -> None:
    assert [counted(1, "host"), counted(2, "host"), counted(3, "index", "indexes")] == [
        "1 host",
        "2 hosts",
        "3 indexes",
    ]


def test_a_template_without_values_speaks_of_several() -> None:
    assert "".join(said + (f"<{name}>" if name else "") for said, name in pieces(DOWN)) == (
        "<count> nodes are down, <names>"
    )
    assert Text(DOWN, "{names} 中 {count} 个节点停机").say("zh", {"count": 1, "names": "a"}) == "a 中 1 个节点停机"


# A number in one of these holes is never 1: it is a size, or a comparison of at least two things.
NEVER_ONE = {
    "size", "bytes", "page_bytes", "sent", "mss", "times", "steps", "world", "most", "soft", "files", "members", "all",
    "of",
}  # fmt: skip
# Where the sentence is of several nodes by its sense.
OF_SEVERAL = re.compile(
    r"^(there are \{tasks\} times|the nodes are at|.*each of (the )?\{nodes\}|.*one address on \{count\}"
    r"|\{count\} nodes are \{times|\{n\} nodes, |.*a ring of \{count\} nodes|\{made_by\} on \{count\} nodes"
    r"|.*srun has started \{tasks\} tasks|.*measures the \{nodes\} nodes of the allocation"
    r"|.*the data ports of|a map of \{count\} nodes| on all \{nodes\} nodes|\{count\} nodes: )"
)
NO_ADJECTIVES = {"of", "the", "its", "to", "which", "lists", "started", "holds", "examines"}
COUNTED_WORD = re.compile(r"\{\w+:([^{}|]*)\|([^{}|]*)\}")


def nouns() -> set[str]:
    """The words that somewhere go with a number."""
    plurals = {many for one in sentences() for word, many in COUNTED_WORD.findall(one.en) if word != many}
    return {word for many in plurals for word in many.split() if word.endswith("s") and word not in ("is", "has")}


def uncounted(sentence: Sentence) -> list[str]:
    """The words of a sentence that go with a number and do not follow it."""
    noun = "|".join(sorted(nouns()))
    found = re.finditer(rf"\{{(\w+)[^{{}}|]*\}}((?: [a-z-]+){{0,2}}?) ({noun})\b", sentence.en)
    return [one.group() for one in found if one[1].lower() not in NEVER_ONE and not set(one[2].split()) & NO_ADJECTIVES]


def test_no_sentence_says_one_nodes() -> None:
    assert {"nodes", "GPUs", "files", "processes", "interfaces"} <= nouns()
    wrong = {one.place: told for one in sentences() if (told := uncounted(one)) and not OF_SEVERAL.match(one.en)}
    assert not wrong, f"write {{count:node|nodes}}: {wrong}"
    assert not [one.place for one in sentences() if "(s)" in one.en]


def test_such_a_sentence_would_be_found() -> None:
    assert uncounted(Sentence("", "{count} nodes are down", "")) == ["{count} nodes"]
    assert uncounted(Sentence("", "{count:.0f} new nodes", "")) and not uncounted(Sentence("", DOWN, ""))
