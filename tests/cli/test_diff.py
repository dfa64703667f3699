"""envdoctor diff"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envdoctor.cli.app import run
from envdoctor.errors import UsageError
from envdoctor.redact import Redactor
from envdoctor.snapshot import Snapshot, to_json
from tests import ROOT
from tests.two_machines import bad, good

PROGRAM = [sys.executable, "-m", "envdoctor"]
REPORT = """\
Collecting environment information...
PyTorch version: 2.7.1+cu126
Is debug build: False
CUDA used to build PyTorch: 12.6
ROCM used to build PyTorch: N/A

OS: Ubuntu 22.04.5 LTS (x86_64)
Libc version: glibc-2.35

Python version: 3.11.7 (main, Dec  8 2023, 18:56:58) [GCC 11.2.0] (64-bit runtime)
Is CUDA available: True
GPU models and configuration:
GPU 0: NVIDIA H100 80GB HBM3
GPU 1: NVIDIA H100 80GB HBM3

Nvidia driver version: 560.35.03
Versions of relevant libraries:
[pip3] numpy==1.26.4
[pip3] torch==2.7.1+cu126
"""


def save(path: Path, taken: Snapshot) -> Path:
    document = to_json(taken)
    redactor = Redactor(b"k" * 16)
    redactor.learn(document)
    path.write_text(json.dumps(redactor.value(document)))
    return path


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    return str(save(tmp_path / "good.json", good())), str(save(tmp_path / "bad.json", bad()))


def test_exit_codes(two: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", two[0], two[0]]) == 0
    assert f"A and B are the same: {two[0]}" in capsys.readouterr().err
    assert run(["diff", *two]) == 1
    assert "only in B: error[driver-too-old]" in capsys.readouterr().out
    absent = str(tmp_path / "absent.json")
    done = subprocess.run([*PROGRAM, "diff", two[0], absent, "--json"], capture_output=True, text=True)
    assert done.returncode == 2
    assert json.loads(done.stdout)["schema"] == "envdoctor/diff/1"
    assert absent in json.loads(done.stdout)["error"]["message"]


def test_folders_are_groups_of_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for letter, make in (("a", good), ("b", bad)):
        (tmp_path / letter).mkdir()
        for number in range(1, 4):
            save(tmp_path / letter / f"{number}.json", make(f"{letter}{number}", number))
    assert run(["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [len(document[letter]["nodes"]) for letter in "ab"] == [3, 3]
    assert document["differences"][0]["b"] == [{"value": "2.6.0+cu124", "nodes": ["b1", "b2", "b3"]}]
    (problem,) = (one for one in document["problems"] if one["code"] == "driver-too-old")
    assert problem["nodes"] == ["b1", "b2", "b3"]


def test_a_pasted_report_is_a_side(two: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "report.txt"
    text.write_text(REPORT)
    assert run(["diff", two[0], str(text)]) == 1
    page = capsys.readouterr().out
    for value in ("2.7.1+cu126", "560.35.03", "2 x NVIDIA H100", "1.26.4"):
        assert value in page
    assert "only in A" not in page, "the text does not tell whether it has that problem"
    assert "/dev/shm" not in page, "what it does not tell is no difference"
    piped = subprocess.run([*PROGRAM, "diff", two[0], "-"], capture_output=True, text=True, input=REPORT)
    assert (piped.returncode, piped.stderr) == (1, "")
    assert piped.stdout.splitlines()[2:] == page.splitlines()[2:]


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_snapshot_comes_out_of_a_pipe(two: tuple[str, str]) -> None:
    command = f"exec {sys.executable} -m envdoctor diff {two[0]} <(cat {two[1]}) -q"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "driver-too-old" in done.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [("hello\n", "tells nothing of a machine"), ('{"schema": "envdoctor/snap', "truncated"), ("", "tells nothing")],
)
def test_what_is_no_side_is_refused(two: tuple[str, str], tmp_path: Path, content: str, said: str) -> None:
    odd = tmp_path / "odd"
    odd.write_text(content)
    with pytest.raises(UsageError, match=said):
        run(["diff", two[0], str(odd)])
    with pytest.raises(UsageError, match="holds no snapshot"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        run(["diff", two[0], str(tmp_path / "empty")])
    with pytest.raises(UsageError, match="given twice"):
        run(["diff", "-", "-"])


def test_the_report_goes_to_a_file(two: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", *two, "-o", str(tmp_path / "out"), "--lang", "zh"]) == 1
    assert capsys.readouterr().out == ""
    assert "仅 B" in (tmp_path / "out").read_text(encoding="utf-8")


def test_the_page_of_the_readme_is_what_is_printed(
    two: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(two[0]).parent)
    assert run(["diff", "good.json", "bad.json"]) == 1
    printed = capsys.readouterr().out.splitlines()
    shown = (ROOT / "README.md").read_text(encoding="utf-8").partition("$ envdoctor diff good.json bad.json\n")[2]
    place, left_out = 0, False
    for line in shown.partition("```")[0].splitlines():
        if line == "...":
            left_out = True
            continue
        assert line in printed[place:], f"{line!r} is not printed, or not in this place"
        next_place = printed.index(line, place)
        assert left_out or not any(printed[place:next_place]), f"above {line!r} something is left out without a word"
        place, left_out = next_place + 1, False
    assert not any(printed[place:])


def test_hidden_values_are_compared_where_they_were_hidden_under_one_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789abcdef" * 4)
    for name, password, options in (
        ("a", "first-9f27", ["--redact-key", str(key)]),
        ("b", "other-9f27", ["--redact-key", str(key)]),
        ("c", "first-9f27", []),
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:{password}@proxy.invalid:3128")
        assert run(["snapshot", "--quick", "-o", str(tmp_path / name), *options]) == 0
        assert password not in (tmp_path / name).read_text()
    told = {}
    for pair in ("ab", "ac"):
        run(["diff", *(str(tmp_path / name) for name in pair), "--json"])
        told[pair] = json.loads(capsys.readouterr().out)
    assert "HTTPS_PROXY" in [one["name"] for one in told["ab"]["differences"]]
    assert told["ab"]["hidden"] == []
    assert "variables.HTTPS_PROXY" in told["ac"]["hidden"]
    assert "HTTPS_PROXY" not in [one["name"] for one in told["ac"]["differences"]]
