"""envdoctor/render/mirrors.py and the words and the document beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.cells import cell_len

from envdoctor.bench.mirrors import MirrorResult, Survey
from envdoctor.bench.pip_manner import Manner
from envdoctor.bench.sites import Need, Patient, Site
from envdoctor.model import Language
from envdoctor.redact import Redactor
from envdoctor.render import Style, mirrors, mirrors_json
from envdoctor.render.mirror_words import REASONS, SKIPPED, conclusion, duration, gigabytes, why

REDACTOR = Redactor(b"k" * 16)


def result(name: str, expected_s: float | None = None, state: str = "usable", **more: Any) -> MirrorResult:
    site = Site(name, f"https://{name}.example/simple", **more.pop("site", {}))
    return MirrorResult(site, state, expected_s=expected_s, latency_s=0.0213, **more)  # type: ignore[arg-type]


def survey(*results: MirrorResult) -> Survey:
    ordered = tuple(sorted(results, key=lambda one: one.rank))
    return Survey(ordered, Need(540_000_000, 2_500_000_000, 81, True), "2.15.0", 4.2, Manner('pip/26.3 {"x":1}'))


MEASURED = survey(
    result("tuna", 165.0, newest="2.15.0", bytes_per_s=21.3e6),
    result("aliyun", 400.0, newest="2.15.0", bytes_per_s=8e6, site={"in_effect": True}),
    result("huawei", newest="2.15.0", skipped="cannot-win", at_least_s=900.0),
    result(
        "ustc", 190.0, "limited", newest="2.14.0", bytes_per_s=17e6, reasons=("stale", "elsewhere"), files_host="x.cn"
    ),
    result("nju", None, "unusable", reasons=("tls",), detail="\x1b[31mself-signed\nok  fine"),
    result("aliyun-intranet", None, "unusable", reasons=("no-name",), site={"intranet": "Alibaba Cloud"}),
)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [0, 60, 100])
def test_columns_stand_under_each_other(language: Language, width: int) -> None:
    page = mirrors.render(MEASURED, Patient(), Style(language=language, width=width), REDACTOR)
    lines = page.splitlines()
    assert "\x1b" not in page
    rows = [line for line in lines if line[:1] in "✓!✗" and line]
    assert [row.split()[1] for row in rows] == ["tuna", "aliyun", "huawei", "ustc", "nju"]
    if not width:
        ends = {cell_len(row[: row.index("MB/s") + 4]) for row in rows if "MB/s" in row}
        assert len(ends) == 1
    assert all(cell_len(line) <= width for line in lines if width and not line.startswith("  envdoctor"))
    assert lines[-1] == "  envdoctor fix pip-mirror --tuna"


def test_the_table_without_unicode_has_words_for_marks() -> None:
    page = mirrors.render(MEASURED, Patient(), Style(unicode=False), REDACTOR)
    assert "\nok " in page and "\n!  " in page and "\nX  " in page


def test_what_is_said_of_each() -> None:
    page = mirrors.render(MEASURED, Patient(), Style(), REDACTOR)
    assert "is behind: 2.15.0 is out; its files lie on x.cn" in page
    assert "> 15 min 0 s" in page and "not measured: it could not be the fastest" in page
    assert "the inner hosts of Alibaba Cloud do not exist here" in page
    assert "tuna is the fastest: about 2 min 45 s instead of 6 min 40 s; to use it:" in page


def test_where_a_redirector_leads_is_said() -> None:
    one = result("cernet", page_host="mirrors.hust.edu.cn")
    assert why(one, "2.15.0", "en") == "leads on to mirrors.hust.edu.cn"
    assert why(one, "2.15.0", "zh") == "转到 mirrors.hust.edu.cn"


def test_every_reason_has_words_in_both_languages() -> None:
    for reason in REASONS:
        one = result("x", reasons=(reason,), detail="because", status=403, files_host="files.example")
        said = {language: why(one, "2.15.0", language) for language in ("en", "zh")}
        assert said["en"] and said["zh"] and said["en"] != said["zh"] and "?" not in said["en"]
    assert set(SKIPPED) == {"cannot-win", "no-time"}


@pytest.mark.parametrize(
    ("seconds", "en", "zh"),
    [(0.4, "0 s", "0 秒"), (59.6, "1 min 0 s", "1 分 0 秒"), (165, "2 min 45 s", "2 分 45 秒"),
     (3900, "1 h 5 min", "1 小时 5 分"), (1e6, "277 h", "277 小时")],
)  # fmt: skip
def test_durations(seconds: float, en: str, zh: str) -> None:
    assert (duration(seconds, "en"), duration(seconds, "zh")) == (en, zh)


def test_sizes() -> None:
    assert (gigabytes(3.04e9), gigabytes(2e8)) == ("3.0 GB", "200 MB")


@pytest.mark.parametrize(
    ("results", "said", "command"),
    [
        ((result("tuna", 100.0, site={"in_effect": True}),), "tuna, the index pip asks now, is the fastest", ""),
        (
            (result("tuna", 100.0), result("nju", 110.0, site={"in_effect": True})),
            "nju, the index pip asks now, is as good as the fastest",
            "",
        ),
        (
            (result("tuna", 100.0), result("nju", 300.0, site={"in_effect": True})),
            "tuna is the fastest: about 1 min 40 s instead of 5 min 0 s; to use it:",
            "envdoctor fix pip-mirror --tuna",
        ),
        (
            (result("corp", 100.0),),
            "corp is the fastest: about 1 min 40 s; to use it:",
            "envdoctor fix pip-mirror --url https://corp.example/simple",
        ),
        ((result("tuna", 9.0, "limited"),), "no index here is fully usable; the best with a catch is tuna", ""),
        (
            (result("a", None, "unusable", reasons=("no-name",)), result("b", None, "unusable", reasons=("no-name",))),
            "none of these indexes is usable from here: names do not resolve (is there a network?)",
            "",
        ),
    ],
)
def test_the_last_words(results: tuple[MirrorResult, ...], said: str, command: str) -> None:
    assert conclusion(survey(*results), "en") == (said, command)


def test_the_document_is_json_and_carries_the_same() -> None:
    document = json.loads(mirrors_json.document(MEASURED, Patient(), REDACTOR))
    assert (document["schema"], document["op"], document["fastest"]) == ("envdoctor/bench/1", "mirrors", "tuna")
    assert [row["name"] for row in document["mirrors"]][:4] == ["tuna", "aliyun", "huawei", "ustc"]
    codes = [(one["code"], one["mirror"], one["severity"]) for one in document["findings"]]
    assert ("pip-index-stale", "ustc", "note") in codes and ("pip-mirror-foreign-links", "ustc", "note") in codes
    assert ("pip-ssl", "nju", "note") in codes


def test_an_index_in_effect_several_times_slower_is_a_finding() -> None:
    slow = survey(result("tuna", 100.0), result("corp", 301.0, site={"in_effect": True}))
    document = json.loads(mirrors_json.document(slow, Patient(), REDACTOR))
    assert [(one["code"], one["severity"]) for one in document["findings"]] == [("pip-index-slow", "warning")]
