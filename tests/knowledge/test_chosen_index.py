"""knowledge/chosen_index.py"""

from __future__ import annotations

from typing import Any

import pytest

from envdoctor.errors import UsageError
from envdoctor.facts.mirror_speeds import MirrorSpeed, MirrorSpeeds
from envdoctor.knowledge import mirrors
from envdoctor.knowledge.chosen_index import NAMES, chosen, fix_of

OFFICIAL = "https://official.example/simple"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "say which index"),
        ({"tuna": True, "official": True}, "--tuna and --official exclude each other"),
        ({"url": "mirrors.aliyun.com/pypi/simple"}, "no address of an index"),
        ({"url": "https://a.example/simple more"}, "no address of an index"),
        ({"url": "https://a.example:port/simple"}, "no address of an index"),
        ({"url": "https://例.example/simple"}, "no address of an index"),
        ({"url": "https://pypi.douban.com/simple"}, "gone"),
        ({"url": "https://mirrors.aliyun.com/pypi"}, "lacks the path"),
        ({"url": "https://mirrors.aliyun.com/pytorch-wheels/cu126"}, "a list of files"),
        ({"fastest": True}, "bench mirrors"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        chosen(OFFICIAL, None, options)


def test_an_address_in_an_error_has_no_credentials() -> None:
    with pytest.raises(UsageError) as caught:
        chosen("", None, {"url": "https://ada:s3cret@pypi.douban.com/simple"})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", mirrors.WITH_OPTION)
def test_every_mirror_of_the_command_line_is_in_the_table(name: str) -> None:
    found = chosen(OFFICIAL, None, {name: True})
    assert found.url.startswith("https://") and found.name == NAMES[name]
    assert fix_of(found.url) == ("pip-mirror", f"--{name}")


def test_an_index_has_one_address_with_or_without_a_slash() -> None:
    found = chosen(OFFICIAL, None, {"url": "https://a.example/simple/"})
    assert found.is_at("https://a.example/simple") and not found.is_at("https://a.example/other")
    assert fix_of("https://a.example/simple") == ("pip-mirror", "--url", "https://a.example/simple")
    assert fix_of("https://mirrors.pku.edu.cn/pypi/web/simple")[1] == "--url"


@pytest.mark.parametrize(
    ("best", "url", "official"),
    [
        (MirrorSpeed("official", OFFICIAL + "/"), OFFICIAL, True),
        (MirrorSpeed("sjtug", ""), "https://mirror.sjtu.edu.cn/pypi/web/simple", False),
        (MirrorSpeed("pku", ""), "https://mirrors.pku.edu.cn/pypi/web/simple", False),
        (MirrorSpeed("10.0.0.5:80", "http://10.0.0.5:80/simple"), "http://10.0.0.5:80/simple", False),
    ],
)
def test_the_fastest(best: MirrorSpeed, url: str, official: bool) -> None:
    found = chosen(OFFICIAL, MirrorSpeeds(best), {"fastest": True})
    assert (found.url, found.official) == (url, official)
    assert found.name.zh
