"""edits/pip_remarks.py: what to know before it is done, in both languages."""

from __future__ import annotations

from collections.abc import Iterable

from envdoctor.edits import pip_remarks
from envdoctor.edits.pip_levels import Levels
from envdoctor.knowledge.chosen_index import chosen
from envdoctor.remedy import Remark
from tests.checks.pip_configs import index
from tests.edits.test_pip_levels import A, levels

TUNA = chosen("", None, {"tuna": True})


def said(remarks: Iterable[Remark]) -> list[str]:
    found = list(remarks)
    assert all(remark.said.say("zh") for remark in found)
    return [remark.said.say("en") for remark in found]


def test_what_pip_could_not_read_is_named_with_its_line() -> None:
    (told,) = said(pip_remarks.unreadable(levels({"user": "# c\nindex-url = a\n"})))
    assert told.startswith("every pip command fails because of /home/ada/.config/pip/pip.conf:2, values before any")


def replaced(found: Levels) -> list[str]:
    won = found.winner("index-url")
    assert won is not None and won.sheet is not None
    found.replace(won, TUNA.url)
    return said(pip_remarks.replaced(found, TUNA, {won.place: won}))


def test_what_is_lost_and_who_else_feels_it() -> None:
    own, shared = replaced(levels({"etc": index(A)}))
    assert (
        own.startswith("a.example is no known mirror") and shared == "/etc/pip.conf is for every user of this machine"
    )
    assert replaced(levels({"user": index("https://mirrors.aliyun.com/pypi/simple")})) == []


def test_what_wins_over_every_file() -> None:
    found = levels({"user": index(A)}, variables={"PIP_INDEX_URL": A, "PIP_NO_INDEX": "on"})
    assert ["`unset PIP_INDEX_URL`" in told or "`unset PIP_NO_INDEX`" in told
            for told in said(pip_remarks.against(found, TUNA))] == [True, True]  # fmt: skip
    harmless = levels({}, variables={"PIP_INDEX_URL": TUNA.url + "/", "PIP_NO_INDEX": "0"})
    assert said(pip_remarks.against(harmless, TUNA)) == []
