"""What the readers make of a text by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path

from envdoctor import judgement, load, texts
from envdoctor.model import Finding
from envdoctor.readers import scan
from envdoctor.readers.scan import Reading
from tests import CHECKS

LOADED = load.load([CHECKS])


def read(text: str | bytes, name: str = "train.log") -> Reading:
    """What is read out of one file with this text."""
    return read_all({name: text})


def read_all(files: dict[str, str | bytes]) -> Reading:
    """What is read out of several files, given in this order."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return scan.read([str(Path(folder, name)) for name in files])


def findings(text: str | bytes, name: str = "train.log") -> tuple[Finding, ...]:
    """What `explain` says of a text, the first cause first."""
    report = judgement.judge([texts.snapshot(read(text, name))], LOADED)
    crashed = report.with_status("crashed")
    assert not crashed, "\n".join(outcome.traceback for outcome in crashed)
    return report.findings


def codes(text: str | bytes, name: str = "train.log") -> dict[str, str]:
    """Code -> severity of what `explain` says of a text, in the order in which it says it."""
    return {finding.code: finding.severity.value for finding in findings(text, name)}
