"""edits/index_words.py: an index that answers badly is written when asked for, and said to be bad."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.edits import index_words
from envdoctor.facts.index import IndexProbe

TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"
OK = IndexProbe(url=TUNA, outcome="answered", status=200, page="index", newest="99.0", whole=True)


@pytest.mark.parametrize(
    ("probe", "told"),
    [
        (IndexProbe(outcome="timeout"), "does not answer within 3 s"),
        (IndexProbe(outcome="no-name", detail="Name or service not known"), "its name does not resolve (Name or"),
        (IndexProbe(outcome="strange", detail="x"), "it failed (x)"),
        (IndexProbe(outcome="tls", detail="self-signed certificate"), "does not verify (self-signed certificate)"),
        (IndexProbe(outcome="answered", status=403, status_plain=200), "refuses pip by its User-Agent (HTTP 403)"),
        (IndexProbe(outcome="answered", status=404), "has no torch"),
        (IndexProbe(outcome="answered", status=502), "answers with HTTP 502"),
        (IndexProbe(outcome="answered", status=200, page="other"), "no package index"),
        (replace(OK, newest="1.0"), "is behind: its newest torch is 1.0"),
        (replace(OK, file_hosts=("files.example",)), "lists files that lie on files.example"),
    ],
)
def test_what_stands_against_it(probe: IndexProbe, told: str) -> None:
    (remark,) = index_words.catches(replace(probe, url=TUNA))
    assert told in remark.said.say("en")
    assert remark.said.say("zh")
    assert "written" not in remark.said.say("en"), "it is said of an index that is set already, too"
    assert not index_words.usable(probe) or probe.page == "index"


def test_one_that_is_well_needs_no_words() -> None:
    assert list(index_words.catches(None)) == []
    assert list(index_words.catches(replace(OK, file_hosts=("mirrors.tuna.tsinghua.edu.cn",)))) == []
    assert list(index_words.catches(replace(OK, url="https://own.example/simple", file_hosts=("b.example.org",)))) == []


def test_how_it_answered_stands_behind_its_name() -> None:
    text, values = index_words.reached(replace(OK, connect_s=0.03, first_byte_s=0.008))
    assert text.say("en", values) == " (reached in 38 ms, has torch 99.0)"
    text, values = index_words.reached(replace(OK, newest="", tls_s=0.001))
    assert text.say("zh", values) == "（1 毫秒内应答）"
    text, values = index_words.reached(IndexProbe(url=TUNA, outcome="refused"))
    assert text.say("en", values) == ""


def test_a_certificate_is_known_to_verify() -> None:
    assert index_words.verified(OK)
    assert not index_words.verified(replace(OK, url="http://a.example/simple"))
    assert not index_words.verified(replace(OK, outcome="tls"))
    assert not index_words.verified(None)
