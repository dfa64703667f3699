from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from envdoctor.bench.spread import LAST_WORDS_S, Meeting


def hello(index: int, login: str = "") -> dict[str, Any]:
    return {"hello": {"login": login}, "node": index}


def bound(port: int) -> dict[str, Any]:
    return {"end": "bind", "node": 0, "values": {"port": port}}


def test_the_first_is_asked_once_all_are_there_and_the_others_hear_its_answer() -> None:
    meeting = Meeting(3, 0, "gpu01")
    assert meeting.take(hello(2, "10.0.0.3")) == []
    assert meeting.take(hello(0, "127.0.0.1")) == []
    (asked,) = meeting.take(hello(1, "10.0.0.2"))
    assert asked == {"meet": {"towards": ["10.0.0.2", "10.0.0.3"], "master_port": 0, "given": "gpu01"}, "to": 0}
    assert meeting.take({"meeting": "10.0.0.1", "node": 0}) == []
    where = {"master_addr": "10.0.0.1", "master_port": 41234}
    assert meeting.take(bound(41234)) == [{"meet": where, "to": 1}, {"meet": where, "to": 2}]
    assert meeting.take(bound(41234)) == [], "once is enough"
    assert meeting.left_s() is None


def test_one_that_cannot_be_reached_ends_it_once_all_others_have_answered() -> None:
    meeting = Meeting(3, 0, "a")
    meeting.take(hello(0))
    meeting.over(1)
    assert meeting.left_s() is None, "the third may have a reason of its own to tell"
    assert meeting.take(hello(2)) == [], "nobody is invited without the second"
    assert meeting.left_s() == 0.0


def test_who_ends_after_a_word_ends_it_as_well() -> None:
    meeting = Meeting(2, 0, "a")
    meeting.take(hello(0))
    meeting.take(hello(1))
    meeting.over(0)  # its port was taken, say
    assert meeting.left_s() == 0.0


def test_underway_the_coordinator_sees_who_is_lost_unless_it_is_the_lost_one() -> None:
    meeting = Meeting(2, 0, "a")
    for record in (hello(0), hello(1), {"meeting": "10.0.0.1", "node": 0}, bound(1)):
        meeting.take(record)
    meeting.over(1)
    assert meeting.left_s() is None
    meeting.over(0)
    assert meeting.left_s() == LAST_WORDS_S


def test_rank_0_does_not_wait_for_one_that_cannot_come() -> None:
    meeting = Meeting(3, 0, "a")
    for record in (hello(0), hello(1), hello(2), {"meeting": "10.0.0.1", "node": 0}):
        meeting.take(record)
    assert meeting.take({"failed": "resolve", "node": 0}) == []
    meeting.take(bound(1))
    assert meeting.take({"failed": "connect", "node": 2}) == [{"absent": 2, "to": 0}]
    assert meeting.take({"failed": "sweep", "node": 1}) == [], "there the coordinator hears it"


RECORDS = st.one_of(
    st.builds(hello, st.integers(-1, 4), st.text(max_size=8)),
    st.just(bound(1)),
    st.dictionaries(
        st.sampled_from(["node", "hello", "end", "meeting", "values", "failed"]), st.one_of(st.integers(), st.text())
    ),
)


@given(st.lists(RECORDS, max_size=12))
def test_no_word_of_an_agent_confuses_it(records: list[dict[str, Any]]) -> None:
    meeting = Meeting(3, 0, "a")
    for record in records:
        for word in meeting.take(record):
            assert set(word) in ({"meet", "to"}, {"absent", "to"}) and 0 <= word["to"] < 3
