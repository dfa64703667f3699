"""envdoctor/cli: the contract of the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from envdoctor import examination
from envdoctor.cli.app import run
from envdoctor.errors import UsageError
from envdoctor.facts.asked import Asked
from envdoctor.facts.host import Host
from envdoctor.facts.limits import Limits, SharedMemory
from envdoctor.model import Node
from envdoctor.render.explanation import apart
from envdoctor.snapshot import Snapshot, to_json

SMALL = Limits(shm=SharedMemory(64 << 20, 60 << 20))
PROGRAM = [sys.executable, "-m", "envdoctor"]


def save(path: Path, *found: object) -> Path:
    from envdoctor import facts

    names = {facts.kind(name): name for name in facts.KINDS}
    sections = {names[type(fact)]: fact for fact in (*found, Asked())}
    node = Node("gpu-a01", python="/opt/python")
    path.write_text(json.dumps(to_json(Snapshot(node, examination.now(), examination.MADE_BY, sections))))
    return path


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    return save(tmp_path / "sick.json", SMALL, Host(container="docker"))


@pytest.fixture
def well(tmp_path: Path) -> Path:
    return save(tmp_path / "well.json", Limits(shm=SharedMemory(32 << 30, 32 << 30)), Host())


def test_a_snapshot_is_judged(sick: Path, well: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "shm", "--from", str(well)]) == 0
    assert "no problems found" in capsys.readouterr().out
    assert run(["check", "shm", "--from", str(sick), "--fail-on", "warning"]) == 1
    assert "[shm-too-small]" in capsys.readouterr().out
    assert run(["check", "shm", "--from", str(sick), "--fail-on", "never"]) == 0


def test_a_folder_of_snapshots_is_many_nodes(sick: Path, well: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "shm", "--from", str(sick.parent), "--json"]) in (0, 1)
    assert len(json.loads(capsys.readouterr().out)["nodes"]) == 2
    empty = sick.parent / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="holds no snapshot"):
        run(["check", "--from", str(empty)])


def test_topics_and_codes_choose(sick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("shm", "shm-too-small", "shm_too_small"):
        run(["check", name, "--from", str(sick), "--json"])
        document = json.loads(capsys.readouterr().out)
        assert {outcome["topic"] for outcome in document["outcomes"]} == {"shm"}
    with pytest.raises(UsageError, match=r"did you mean 'shm-too-small'\?"):
        run(["check", "shm-to-small", "--from", str(sick)])


@pytest.mark.parametrize("option", ["--hosts", "--docker", "--kubectl", "--python", "--checks"])
def test_an_unset_variable_examines_no_other_machine(option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} was given an empty word"):
        run(["check", "shm", "--quick", option, ""])
    with pytest.raises(UsageError, match=f"{option} was given an empty word"):
        run(["check", "shm", "--quick", f"{option}="])


def test_a_snapshot_was_taken_of_one_python(well: Path) -> None:
    with pytest.raises(UsageError, match="leave --python out"):
        run(["check", "shm", "--from", str(well), "--python", sys.executable])


def test_this_machine_is_examined(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "shm", "--quick", "--json"]) in (0, 1)
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "envdoctor/report/1"
    assert document["nodes"][0]["python"]


def test_a_check_file_that_raises_or_does_not_import_is_exit_3(
    tmp_path: Path, sick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "odd.py").write_text(
        "from envdoctor import Problem, Severity, Text, check\nfrom envdoctor.facts.host import Host\n"
        "ODD = Problem('odd-host', Severity.NOTE, Text('odd', '怪'), Text('odd', '怪'))\n"
        "@check(ODD)\ndef odd(host: Host):\n    raise ValueError('no way')\n"
    )
    assert run(["check", "--from", str(sick), "--checks", str(folder)]) == 3
    out = capsys.readouterr().out
    assert "the check odd (odd) crashed: ValueError: no way" in out
    assert "shm-too-small" in out
    (folder / "odd.py").write_text("import nothing_of_that_name")
    assert run(["check", "--from", str(sick), "--checks", str(folder)]) == 3
    assert "ModuleNotFoundError" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["chek"], ["check", "--no-such"], ["check", "--format", "xml"], ["check", "--port", "99999"]]
)
def test_wrong_usage_is_exit_2_and_names_the_input(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        run(arguments)
    told = capsys.readouterr()
    assert told.out == ""
    assert arguments[-1] in told.err


def test_usage_errors_of_ours_are_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, "check", "--from", str(tmp_path / "no.json")], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("envdoctor: cannot read the snapshot")
    assert done.stderr.count("\n") == 1


def test_json_is_one_document_whatever_the_exit_code(sick: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "check", "shm", "--from", str(sick), "--json", "--fail-on", "warning"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"][0]["code"] == "shm-too-small"
    assert done.stderr == ""


def test_output_goes_to_a_file_whole_or_not_at_all(
    tmp_path: Path, sick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.json"
    run(["check", "shm", "--from", str(sick), "--json", "-o", str(out)])
    assert json.loads(out.read_text())["schema"] == "envdoctor/report/1"
    assert capsys.readouterr().out == ""
    with pytest.raises(UsageError, match="there is no folder"):
        run(["check", "shm", "--from", str(sick), "-o", str(tmp_path / "no" / "such" / "folder.json")])
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.skipif(sys.platform == "win32", reason="a working directory cannot be deleted")
@pytest.mark.parametrize("verb", [["list"], ["check", "shm"]])
def test_an_output_in_a_working_directory_that_is_gone(
    verb: list[str], tmp_path: Path, sick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    source = ["--from", str(sick)] if verb[0] == "check" else []
    with pytest.raises(UsageError, match="-o x: the working directory is gone; `cd` into") as refused:
        run([*verb, *source, "-o", "x"])
    assert "当前工作目录已被删除" in refused.value.zh
    assert run([*verb, *source, "-o", str(tmp_path / "report")]) in (0, 1)
    assert (tmp_path / "report").read_text()


def test_a_full_disk_is_named(sick: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this platform")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, "check", "shm", "--from", str(sick)], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(sick: Path) -> None:
    done = subprocess.run(f"{sys.executable} -m envdoctor list | head -n 1", shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "shm-too-small"]) == 0
    out = capsys.readouterr().out
    assert "warning[shm-too-small] (shm)" in out
    assert "df -h /dev/shm" in out
    assert run(["explain", "shm-too-small", "--lang", "zh"]) == 0
    assert "警告[shm-too-small]" in capsys.readouterr().out
    assert run(["explain", "shm-too-small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "shm-too-small"
    with pytest.raises(UsageError, match="neither a file nor a finding code"):
        run(["explain", "shm-too-smal"])


@pytest.mark.parametrize(
    ("language", "common", "left"),
    [
        ("en", "newer ones do not (<why_not>)", "\n  or        … A newer driver is no way out: branch <last> is"),
        ("zh", "更新的版本不行（<why_not>）", "\n  或者      … 升级驱动行不通：<last> 是支持"),
    ],
)
def test_what_situations_have_in_common_is_said_once(
    language: str, common: str, left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "driver-too-old", "--lang", language]) == 0
    page = capsys.readouterr().out
    assert page.count(common) == 1
    assert left in page


def test_what_is_short_or_in_brackets_is_not_left_out() -> None:
    common = "the command installs torch <build> and everything that this very build requires"
    assert apart(f"{common}; ask", f"{common}; wait") == "… ask"
    assert apart(f"ask: {common}", f"wait: {common}") == "ask …"
    assert apart(f"ask (so: {common})", f"wait (so: {common})") == f"ask (so: {common})"
    assert apart("install it; ask", "install it; wait") == "install it; ask"
    assert apart(common, common) == common


def test_an_explanation_names_the_fix_and_holes_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "Torch_Missing"]) == 0
    out = capsys.readouterr().out
    assert "fix       envdoctor fix torch-missing\n" in out
    assert "look      <python> -c 'import torch'\n" in out
    assert run(["explain", "torch-missing", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["fixes"], document["confirm"]) == (["torch"], "<python> -c 'import torch'")
    assert run(["explain", "link-slow"]) == 0
    assert "envdoctor fix" not in capsys.readouterr().out
    with pytest.raises(UsageError, match="'torch' is a topic; `envdoctor list torch` shows its codes"):
        run(["explain", "torch"])


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list"]) == 0
    assert "shm-too-small" in capsys.readouterr().out
    assert run(["list", "shm", "--json"]) == 0
    (topic,) = json.loads(capsys.readouterr().out)
    assert topic["topic"] == "shm"


def test_every_problem_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    from envdoctor import load

    for code in load.load([load.bundled()]).problems:
        assert run(["explain", code]) == 0
        assert code in capsys.readouterr().out


def test_snapshot_round_trip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "here.json"
    assert run(["snapshot", "--quick", "-o", str(path)]) == 0
    assert run(["check", "--from", str(path), "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["nodes"][0]["name"]


def test_the_redact_key_makes_hashes_comparable(tmp_path: Path, sick: Path) -> None:
    key = tmp_path / "key"
    key.write_text("short")
    with pytest.raises(UsageError, match="needs 16 or more"):
        run(["check", "--from", str(sick), "--redact-key", str(key)])
    with pytest.raises(UsageError, match="openssl rand"):
        run(["check", "--from", str(sick), "--redact-key", str(tmp_path / "none")])
    key.write_text("0123456789abcdef0123456789abcdef")
    assert run(["check", "shm", "--from", str(sick), "--redact-key", str(key), "-q"]) in (0, 1)


def test_the_language_of_text_is_the_locales_and_of_json_english(
    sick: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    run(["check", "shm", "--from", str(sick)])
    assert "警告[shm-too-small]" in capsys.readouterr().out
    run(["check", "shm", "--from", str(sick), "--json"])
    assert "/dev/shm holds" in capsys.readouterr().out


def test_a_stream_that_cannot_show_chinese_shows_codes(sick: Path) -> None:
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*PROGRAM, "check", "shm", "--from", str(sick), "--lang", "zh"], capture_output=True, env=environ
    )
    assert b"shm-too-small" in done.stdout
    assert b"\\u8b66" in done.stdout


def test_version_and_help_load_nothing_heavy() -> None:
    code = (
        "import sys\nfrom envdoctor.cli.app import run\n"
        "assert run(['--help']) == 0\n"
        "heavy = {'rich', 'requests', 'importlib.metadata', 'msgspec', 'envdoctor.load', 'envdoctor.model', 'torch'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, "envdoctor")


def test_completion_knows_topics_and_codes() -> None:
    environ = {
        **os.environ,
        "_ENVDOCTOR_COMPLETE": "complete_bash",
        "COMP_WORDS": "envdoctor explain shm-",
        "COMP_CWORD": "2",
    }
    done = subprocess.run([*PROGRAM], capture_output=True, text=True, env=environ)
    assert "shm-too-small" in done.stdout


def test_an_unknown_name_is_refused_before_the_examination_has_ended(tmp_path: Path) -> None:
    slow = tmp_path / "torch"
    slow.mkdir()
    (slow / "__init__.py").write_text("import time; time.sleep(30)")
    began = time.monotonic()
    done = subprocess.run(
        [*PROGRAM, "check", "no-such", "--offline"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "no-such" in done.stderr
    assert time.monotonic() - began < 15


def test_a_snapshot_without_a_readable_fact_is_not_fine(tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    for held in ("{}", '{"host": [1], "python": "x"}'):
        empty.write_text(f'{{"schema": "envdoctor/snapshot/1", "facts": {held}}}')
        with pytest.raises(UsageError, match="holds no fact"):
            run(["check", "--from", str(empty)])
