"""knowledge/other_index.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.facts.index import IndexProbe, IndexProbes
from envdoctor.knowledge import mirrors
from envdoctor.knowledge.other_index import instead_of, is_local, other

TUNA, EXTRA = "https://pypi.tuna.tsinghua.edu.cn/simple", "https://x.example/simple"


def probed(url: str = TUNA, **answer: Any) -> IndexProbe:
    return IndexProbe(**{"option": "index-url", "url": url, **answer})


@pytest.mark.parametrize("mirror", mirrors.pypi(), ids=lambda mirror: mirror.id)
def test_another_index_is_another_host_that_works(mirror: mirrors.PypiMirror) -> None:
    better = mirrors.pypi_mirror(other(mirror.index_url))
    assert better is not None and better.id != mirror.id and better.status in ("ok", "caution", "unverified")
    assert better.index_url.startswith("https:") and not better.intranet


@pytest.mark.parametrize(
    ("url", "answer", "expected"),
    [
        (TUNA, {"outcome": "refused"}, mirrors.FIRST_CHOICE),
        (TUNA + "/", {"outcome": "refused"}, mirrors.FIRST_CHOICE),
        (mirrors.FIRST_CHOICE, {"outcome": "refused"}, mirrors.SECOND_CHOICE),
        (TUNA, {"outcome": "answered", "status": 502}, mirrors.FIRST_CHOICE),
        (TUNA, {"outcome": "answered", "status": 200, "page": "other"}, mirrors.FIRST_CHOICE),
        (TUNA, {"outcome": "answered", "status": 200, "page": "index"}, ""),
        (TUNA, {"outcome": "answered", "status": 401, "status_plain": 401}, ""),
        (TUNA, {"outcome": "tls", "verify_code": 20}, ""),
        (TUNA, {"outcome": "proxy"}, ""),
        (TUNA, {"outcome": "no-route"}, ""),
        (TUNA, {"outcome": "no-name"}, ""),
        (EXTRA, {"outcome": "answered", "status": 200, "page": "index", "file_hosts": ("f.example.net",)}, ""),
    ],
)
def test_what_fails_of_its_own_is_replaced(url: str, answer: dict[str, Any], expected: str) -> None:
    assert instead_of(url, IndexProbes((probed(url.rstrip("/"), **answer),)), None) == expected


def test_what_was_not_asked_stays_unless_it_is_gone() -> None:
    assert instead_of(TUNA, None, None) == ""
    assert instead_of(TUNA, IndexProbes((probed(EXTRA, outcome="refused"),)), None) == ""
    assert instead_of(TUNA, IndexProbes((probed(option="extra-index-url", outcome="refused"),)), None) == ""
    assert instead_of("https://pypi.douban.com/simple", None, None) == mirrors.FIRST_CHOICE
    assert instead_of("https://pypi.mirrors.ustc.edu.cn/simple", None, None).startswith("https://mirrors.ustc.edu.cn/")


def test_a_channel_that_answers_shows_that_names_resolve() -> None:
    channel = IndexProbe("channel", "channels", "https://conda.example/main", "answered", status=200)
    alone = IndexProbes((probed(outcome="no-name"),))
    assert is_local(alone.probes[0], alone, None)
    assert not is_local(alone.probes[0], IndexProbes((*alone.probes, channel)), None)
