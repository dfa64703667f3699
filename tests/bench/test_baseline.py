"""envdoctor/bench/baseline.py"""

from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.bench import baseline
from envdoctor.errors import UsageError


@pytest.mark.parametrize("text", [None, "", "{", '{"schema": "envdoctor/other/1"}'])
def test_what_is_no_result_is_refused_with_the_command_that_writes_one(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "old.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=r"--baseline.*; write one with `envdoctor bench allreduce -o FILE`$"):
        baseline.read(file)
