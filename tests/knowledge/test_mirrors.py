"""envdoctor/knowledge/mirrors.py: which mirror a word or a URL means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.knowledge import mirrors


@pytest.mark.parametrize(
    ("word", "id_"), [("tuna", "tuna"), ("TUNA", "tuna"), ("sjtug", "sjtu"), ("sjtu", "sjtu"), ("163", "netease")]
)
def test_a_word_names_a_mirror(word: str, id_: str) -> None:
    found = mirrors.named(word)
    assert found is not None and found.id == id_


@given(st.text())
def test_any_word_may_be_asked(word: str) -> None:
    found = mirrors.named(word)
    assert found is None or word.strip().lower() in (found.id, *found.words)


def test_no_word_means_two_mirrors_or_the_official_index() -> None:
    words = [word for mirror in mirrors.pypi() for word in (mirror.id, *mirror.words)]
    assert len(words) == len(set(words))
    assert mirrors.OFFICIAL not in words


def test_what_the_fix_has_an_option_for_is_a_mirror_that_may_be_recommended() -> None:
    for word in mirrors.WITH_OPTION:
        found = mirrors.named(word)
        assert found is not None and found.status in ("ok", "caution") and not found.intranet, word


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("pypi.tuna.tsinghua.edu.cn", "mirrors.tuna.tsinghua.edu.cn", True),
        ("mirrors.ustc.edu.cn", "pypi.tuna.tsinghua.edu.cn", False),
        ("mirrors.aliyun.com", "mirrors.cloud.tencent.com", False),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "127.0.0.1", True),
    ],
)
def test_hosts_of_one_owner(one: str, other: str, same: bool) -> None:
    assert (mirrors.owner(one) == mirrors.owner(other)) is same
