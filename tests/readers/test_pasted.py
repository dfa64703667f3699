"""What people paste, as texts in pasted/*.toml: the first finding names the cause, and sound machines draw no alarm.

`severity` is the finding's; "loud" is error or warning where the text leaves it open, "any" where only the code counts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from tests.readers.texts import codes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "pasted"


def texts(*names: str) -> list[ParameterSet]:
    return [
        pytest.param(row["code"], row["severity"], row["pasted"], id=f"{name}: {row['name']}")
        for name in names
        for row in tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["text"]
    ]


@pytest.mark.parametrize(("code", "severity", "pasted"), texts("gpu", "torch", "packages"))
def test_the_first_finding_names_the_cause(code: str, severity: str, pasted: str) -> None:
    found = codes(pasted)
    assert next(iter(found), "") == code
    if severity == "loud":
        assert found[code] in ("error", "warning")
    elif severity != "any":
        assert found[code] == severity


@pytest.mark.parametrize(("code", "severity", "pasted"), texts("healthy"))
def test_what_is_sound_draws_at_most_notes(code: str, severity: str, pasted: str) -> None:
    assert not code
    assert set(codes(pasted).values()) <= {severity}
