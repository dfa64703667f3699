"""What is streamed to nodes runs in any Python from 3.6 on, and needs nothing that is not streamed with it."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor.bench import conducting
from envdoctor.patient import boot
from tests import ROOT

STREAMED = [
    Path(spec.origin) for name in conducting.STREAMED if (spec := importlib.util.find_spec(name)) and spec.origin
]


def test_it_is_python_3_6() -> None:
    vermin = Path(sys.executable).with_name("vermin")
    done = subprocess.run([vermin, "-t=3.6-", "--violations", "--no-tips", *STREAMED], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", STREAMED, ids=lambda path: path.stem)
def test_a_module_needs_the_standard_library_and_what_comes_before_it(path: Path) -> None:
    before = set(conducting.STREAMED[: STREAMED.index(path)])
    for node in ast.parse(path.read_text()).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            owner = name.partition(".")[0]
            known = name in before if owner == "envdoctor" else owner in sys.stdlib_module_names
            assert known, f"{path.name} imports {name}"


def test_it_is_small() -> None:
    line = boot.line(conducting.whole(), conducting.AGENT, {})
    assert len(line) < 200_000


PROBE = """
import sys
def main(request, whole):
    import envdoctor, queue
    told = {"request": request, "ours": envdoctor.__spec__.loader.__class__.__name__, "queue": queue.__file__}
    import json
    print(json.dumps(told))
"""


def test_our_modules_hide_an_installed_envdoctor_and_nobody_hides_the_standard_library(tmp_path: Path) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('a file of the user came first')\n")
    sources = {**conducting.whole()["modules"], "envdoctor.bench.probe": PROBE}
    whole = {"boot": sources["envdoctor.patient.boot"], "modules": sources}
    line = boot.line(whole, "envdoctor.bench.probe", {"a": 1})
    done = subprocess.run(
        [sys.executable, "-c", boot.COMMAND],
        input=line,
        capture_output=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert told["request"] == {"a": 1}
    assert told["ours"] == "Sources"
    assert not told["queue"].startswith(str(tmp_path))
