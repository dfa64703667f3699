"""checks/uv.py"""

from __future__ import annotations

from dataclasses import replace

import pytest

from envdoctor.facts.pip import PipEffective
from envdoctor.facts.uv import UvConfig, UvEffective, UvFile, UvIndex, UvLock
from envdoctor.model import Missing
from envdoctor.testing import Case, topic_file
from tests import CHECKS
from tests.checks.pip_configs import index, written

FILE = CHECKS / "uv.py"
TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"
MIRRORED = written(user=index(TUNA))
UV = UvConfig(program="/usr/bin/uv", files=(UvFile("/etc/uv/uv.toml", "system"),))
SET = UvConfig(program="/usr/bin/uv", indexes=(UvIndex("index", TUNA, path="/p/uv.toml", line=3, default=True),))

CASES = [
    Case("pip is mirrored, uv is not", (UV, MIRRORED), {"uv-ignores-pip-config": "note"}),
    Case(
        "a mirror in the lock file",
        (UvConfig(lock=UvLock("/p/uv.lock", ("pypi.tuna.tsinghua.edu.cn",))),),
        {"uv-lock-mirror": "warning"},
    ),
    Case(
        "a mirror in the lock file, the official index known",
        (
            UvConfig(lock=UvLock("/p/uv.lock", ("pypi.tuna.tsinghua.edu.cn",))),
            PipEffective(default_index="https://d.example/s"),
        ),
        {"uv-lock-mirror": "warning"},
    ),
    Case("both are mirrored", (SET, MIRRORED)),
    Case("neither is", (UV, written())),
    Case("settings of uv without uv", (UvConfig(files=UV.files), MIRRORED)),
    Case("an index of one's own in the lock file", (UvConfig(lock=UvLock("/p/uv.lock", ("nexus.example",))),)),
    Case(
        "uv refuses a file",
        (UvEffective("0.13.9", error="error: Failed to parse: uv.toml\ncause: unknown field `x`"),),
        {"uv-config-refused": "error"},
    ),
    Case("uv speaks of something else", (UvEffective("0.1.0", error="error: unexpected argument"),)),
    Case("uv is content", (UvEffective("0.13.9"),)),
    Case("no uv", (Missing("uv-config", "not-here"), MIRRORED)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case) -> None:
    case.assert_holds(FILE)


def test_the_fix_gives_uv_the_same_index() -> None:
    assert CASES[0].assert_holds(FILE)[0].command == "envdoctor fix uv-mirror --tuna"
    own = Case("", (UV, written(user=index("https://nexus.example/simple"))), {"uv-ignores-pip-config": "note"})
    assert own.assert_holds(FILE)[0].command == "envdoctor fix uv-mirror --url https://nexus.example/simple"


def test_where_uv_reads_no_file_a_variable_is_the_way() -> None:
    case = Case("", (replace(UV, no_config=True), MIRRORED), {"uv-ignores-pip-config": "note"})
    assert case.assert_holds(FILE)[0].command == f"export UV_DEFAULT_INDEX={TUNA}"


def test_the_lock_file_is_made_again_from_the_official_index() -> None:
    assert CASES[1].assert_holds(FILE)[0].command is None
    assert CASES[2].assert_holds(FILE)[0].command == "uv lock --default-index https://d.example/s"


def test_summary() -> None:
    file = topic_file(FILE)
    assert file.summary is not None
    told = file.summary.line(SET)
    assert told is not None and told[0].say("en", told[1]) == f"{TUNA} (/p/uv.toml:3)"
    told = file.summary.line(UV)
    assert told is not None and told[0].say("en", told[1]) == "/usr/bin/uv, its default index"
    assert file.summary.line(UvConfig()) is None
