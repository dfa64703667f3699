"""envdoctor/render/fixes.py"""

from __future__ import annotations

import datetime
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor.errors import Changed
from envdoctor.journal import Edited, Entry, Ran
from envdoctor.last_check import LastCheck, Mendable
from envdoctor.model import Problem, Severity, Text
from envdoctor.redact import Redactor
from envdoctor.remedy import ByHand, EditFile, Fix, Plan, Remark, RunCommand, Verdict, said
from envdoctor.render import Style, fix_lists, fixes
from tests import needs

PLAIN, CHINESE = Style(), Style(language="zh")
REDACTOR = Redactor(b"k" * 16, "/home/ann", "ann")
FIX = Fix("tea", Text("make tea", "泡茶"), lambda: Plan(said("x", "x")), mends=("no-tea",), verify=lambda plan: ())
EDIT = EditFile("/home/ann/.rc", b"a\nb\n", b"a\nc\n")
PLAN = Plan(
    said("tea for {who}", "给 {who} 的茶", who="ann"), (EDIT,),
    (RunCommand(("pip", "install", "a b"), said("gets it", "获取"), ("pip", "uninstall", "a b")),
     RunCommand(("true",), said("nothing", "无"))),
    (ByHand("cat <<'END'\nx\nEND", said("it needs root", "需要 root")),),
    (Remark(said("it stays", "保持不变")), Remark(said("beware", "小心"), "warning")),
)  # fmt: skip
ENTRY = Entry(
    "20261121-120000", "tea", {"en": "tea", "zh": "茶"}, "2026-11-21T12:00:00Z", "applied",
    edits=(Edited("/home/ann/.rc", "/home/ann/.rc", b"a\n", b"b\n"), Edited("/new", "/new", None, b"x\n")),
    commands=(Ran(("a",), ("un", "a"), True), Ran(("b",))),
)  # fmt: skip
PROBLEM = Problem("no-tea", Severity.ERROR, Text("no tea", "没有茶"), Text("sad", "难过"), command="buy tea")


def test_a_plan_in_both_languages() -> None:
    assert fixes.proposal(PLAN, PLAIN, REDACTOR) == (
        "tea for ann\n\n--- ~/.rc\n+++ ~/.rc\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n\n"
        "gets it\n  pip install 'a b'\n  undone by: pip uninstall 'a b'\nnothing\n  true\n  which nothing takes back\n"
        "not automatic: it needs root\ncat <<'END'\nx\nEND\n1 file changes; 2 commands run\n"
        "note: it stays\nwarning: beware\n"
    )
    told = fixes.proposal(PLAN, CHINESE, REDACTOR)
    for word in (
        "撤销命令：",
        "该命令无法撤销",
        "需手动执行：需要 root",
        "修改 1 个文件；执行 2 条命令",
        "提示：",
        "警告：",
    ):
        assert word in told


@pytest.mark.parametrize(
    ("files", "commands", "told"),
    [(0, 1, "no file changes; 1 command runs"), (2, 0, "2 files change; no command runs")],
)
def test_counts_are_words(files: int, commands: int, told: str) -> None:
    plan = replace(PLAN, edits=(EDIT,) * files, commands=PLAN.commands[:commands])
    assert told in fixes.proposal(plan, PLAIN, REDACTOR)


def test_a_block_to_paste_is_not_moved_or_broken() -> None:
    long = "x" * 200
    plan = replace(PLAN, by_hand=(ByHand(f"sudo tee /f <<'END'\n{long}\n  indented\nEND", said("w", "w")),))
    lines = fixes.proposal(plan, Style(width=80), REDACTOR).split("\n")
    assert long in lines and "  indented" in lines and "END" in lines


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_a_diff_shows_every_change_and_no_control_characters(before: bytes, after: bytes) -> None:
    told = fixes.diff("/f", before, after, REDACTOR)
    assert all(line.isprintable() or "\t" in line for line in told)
    if before == after:
        assert told == []


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"a\nb", b"a\nb\n"), (b"a\n", b"b"), (None, b"a\nb\n"), (b"a\n", None), ("路径\n".encode(), "路\n".encode()),
     (b"a\x0bb\n\x0c\n", b"a\x0bb\n"), (b"x", b"y")],
)  # fmt: skip
def test_a_diff_is_what_patch_understands(before: bytes | None, after: bytes | None, tmp_path: Path) -> None:
    place = tmp_path / "f"
    if any(byte in (before or b"") for byte in b"\x0b\x0c"):
        assert len([line for line in fixes.diff("/f", before, after, REDACTOR) if line.startswith("-")]) == 2
        return
    place.write_bytes(before or b"")
    told = "\n".join(fixes.diff("f", before, after, REDACTOR)) + "\n"
    command = [needs.program("patch"), "-s", str(place)]
    done = subprocess.run(command, input=told.encode(), capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert (place.read_bytes() if place.exists() else b"") == (after or b"")


def test_line_ends_are_shown_where_they_differ() -> None:
    assert fixes.diff("/f", b"a\r\nb\r\n", b"a\r\nc\r\n", REDACTOR)[-2:] == ["-b", "+c"]
    assert fixes.diff("/f", b"a\r\nb\r\n", b"a\nb\r\n", REDACTOR)[3:5] == ["-a\\x0d", "+a"]


def test_secrets_are_not_shown() -> None:
    after = b"index-url = https://bob:hunter22@mirror/simple\n"
    plan = Plan(
        said("use {url}", "用 {url}", url="https://bob:hunter22@mirror"), (EditFile("/home/ann/.rc", None, after),),
        (RunCommand(("pip", "https://bob:hunter22@mirror"), said("w", "w")),),
        (ByHand("curl https://bob:hunter22@mirror", said("w", "w")),),
        (Remark(said("https://bob:hunter22@mirror", "x")),),
    )  # fmt: skip
    entry = replace(
        ENTRY, title={"en": "https://bob:hunter22@mirror"}, edits=(Edited("/f", "/f", b"", after),),
        commands=(Ran(("x", "https://bob:hunter22@mirror"), ("y", "--password", "hunter22"), True),),
    )  # fmt: skip
    told = [
        fixes.proposal(plan, PLAIN, REDACTOR),
        fixes.planned(FIX, plan, "would-change", PLAIN, REDACTOR).document(),
        fixes.result(FIX, plan, entry, Verdict(), "applied", PLAIN, REDACTOR).document(),
        fixes.undoing(entry, entry.edits, PLAIN, REDACTOR),
        fixes.undone(entry, entry.edits, "undone", PLAIN, REDACTOR).document(),
        fix_lists.history((entry,), False, PLAIN, REDACTOR),
        fix_lists.history((entry,), True, PLAIN, REDACTOR),
        fixes.changed_since(Changed("x", "/f", b"", after), PLAIN, REDACTOR),
    ]
    for document in told:
        assert "hunter22" not in document


def test_a_command_to_paste_is_exact_but_for_secrets() -> None:
    step = ByHand("sudo tee /etc/x <<'END'\n/home/ann/bin ann\nEND", said("w", "w"))
    plan = replace(PLAN, by_hand=(step,))
    assert step.command in fixes.proposal(plan, PLAIN, REDACTOR)
    assert fixes.planned(None, plan, "by-hand", PLAIN, REDACTOR).told["by_hand"][0]["command"] == step.command
    secret = replace(PLAN, by_hand=(ByHand("curl https://bob:hunter22@mirror", said("w", "w")),))
    assert "a secret in it is shown as ***: put it back" in fixes.proposal(secret, PLAIN, REDACTOR)


def test_what_is_agreed_to_is_shown_as_it_is() -> None:
    """Names of people and folders belong to lines of files and commands: with a hash, it would be another line."""
    plan = Plan(
        said("x", "x"), (EditFile("/data/ann/.rc", None, b"export A=/data/ann/x\nexport B=/home/ann/y\n"),),
        (RunCommand(("pip", "install", "/home/ann/ann"), said("w", "w")),),
        remarks=(Remark(said("here: export A='/home/ann/a b'", "x")),),
    )  # fmt: skip
    told = fixes.proposal(plan, PLAIN, REDACTOR)
    assert "--- /dev/null\n+++ /data/ann/.rc\n" in told
    assert "+export A=/data/ann/x\n+export B=/home/ann/y\n" in told
    assert "  pip install /home/ann/ann\n" in told and "here: export A='/home/ann/a b'\n" in told
    document = fixes.planned(FIX, plan, "would-change", PLAIN, REDACTOR).told
    assert document["commands"][0]["command"] == "pip install /home/ann/ann"
    assert document["edits"][0]["path"] == "/data/ann/.rc" and "+export B=/home/ann/y" in document["edits"][0]["diff"]
    of_a_device = Redactor(b"k" * 16, "/home/dev", "dev")
    assert fixes.diff("/home/dev/.rc", None, b"x\n", of_a_device)[:2] == ["--- /dev/null", "+++ ~/.rc"]


def test_results_of_every_kind() -> None:
    finding = PROBLEM.found(cups=0)
    against = Verdict((said("{n} cups", "{n} 杯", n=0),), (), (finding,), ())
    told = fixes.result(FIX, PLAN, ENTRY, against, "not-effective", PLAIN, REDACTOR)
    assert "✗ not in effect: 0 cups\nerror[no-tea]: no tea\n  cups 0\n  buy tea\nUndo with" in told.text
    assert told.told["findings"][0]["command"] == "buy tea"
    assert told.told["undo"] == ENTRY.id
    told = fixes.result(
        FIX, replace(PLAN, edits=(replace(EDIT, after=None),)), ENTRY, Verdict(), "applied", PLAIN, REDACTOR
    )
    assert "✓ removed ~/.rc\n✓ ran pip install 'a b'\n✓ ran true\n✓ checked again: it is in effect\n" in told.text
    gone = replace(ENTRY, state="rolled-back")
    told = fixes.result(FIX, PLAN, gone, Verdict(), "failed", Style(unicode=False), REDACTOR, (PLAN.commands[1], 7))
    assert told.text == "X `true` ended with status 7; rolled back\n"
    assert told.told["undo"] is None
    unmended = Verdict(unmended=("no-tea",), left=(finding,))
    told = fixes.result(FIX, PLAN, ENTRY, unmended, "not-effective", CHINESE, REDACTOR)
    assert "✗ 复查：no-tea 仍然存在\n错误[no-tea]：没有茶" in told.text


def test_an_undo_shows_the_way_back() -> None:
    told = fixes.undoing(ENTRY, ENTRY.edits, PLAIN, REDACTOR)
    assert told == (
        "20261121-120000  tea\n\n--- ~/.rc\n+++ ~/.rc\n@@ -1 +1 @@\n-b\n+a\n"
        "\n--- /new\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n  un a\n"
    )
    assert fixes.undoing(ENTRY, (), CHINESE, REDACTOR).endswith("所有文件已是原样\n")
    done = fixes.undone(ENTRY, ENTRY.edits, "undone", PLAIN, REDACTOR)
    assert done.text.startswith("✓ restored ~/.rc\n✓ removed /new\n✓ 20261121-120000 is taken back")
    assert fixes.undone(ENTRY, ENTRY.edits, "not-undone", PLAIN, REDACTOR).text == ""


def test_what_the_last_check_found() -> None:
    one = Mendable("no-tea", "odd", "no \x1b[2Jtea", "没有茶", "envdoctor fix tea", True)
    told = fix_lists.found_last(LastCheck("2026", "/opt/python", (one,), ("pip",)), False, PLAIN, REDACTOR)
    assert told == (
        "the last check (2026, /opt/python, only pip) found, to be mended by:\n\n"
        "odd[no-tea]: no \\x1b[2Jtea\n  envdoctor fix tea\n"
    )
    assert "（2026，/opt/python，仅 pip）" in fix_lists.found_last(
        LastCheck("2026", "/opt/python", (one,), ("pip",)), False, CHINESE, REDACTOR
    )
    now = datetime.datetime(2026, 11, 21, 12, 3, tzinfo=datetime.timezone.utc)
    checked = LastCheck("2026-11-21T12:00:00Z", "/opt/python")
    assert "the last check (3 minutes ago) found nothing" in fix_lists.found_last(checked, False, PLAIN, REDACTOR, now)
    assert json.loads(fix_lists.found_last(checked, True, PLAIN, REDACTOR))["checked_at"] == checked.taken_at
    assert json.loads(fix_lists.found_last(None, True, PLAIN, REDACTOR))["mendable"] == []


@pytest.mark.parametrize(
    ("seconds", "en", "zh"),
    [
        (0, "just now", "刚刚"),
        (89, "just now", "刚刚"),
        (90, "2 minutes ago", "2 分钟前"),
        (7199, "120 minutes ago", "120 分钟前"),
        (7200, "2 hours ago", "2 小时前"),
        (172800, "2 days ago", "2 天前"),
        (-1, "2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z"),
    ],
)
def test_how_long_ago_it_was(seconds: int, en: str, zh: str) -> None:
    then = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.timezone.utc)
    told = [
        fix_lists.ago("2026-11-21T12:00:00Z", then + datetime.timedelta(seconds=seconds), style)
        for style in (PLAIN, CHINESE)
    ]
    assert told == [en, zh]


def test_documents_are_read_by_every_reader_of_json() -> None:
    plan = replace(PLAN, edits=(EditFile("/home/\udcff", None, b"\xff"),))
    told = fixes.planned(None, plan, "by-hand", PLAIN, REDACTOR).document()
    assert told.encode("ascii")
    assert json.loads(told)["edits"][0]["path"].encode()
    assert json.loads(fixes.failure("\udcff", 3))["error"] == {"message": "\\udcff", "exit_code": 3}


def test_words_are_in_both_languages() -> None:
    for text in (*fixes.WORDS.values(), *fix_lists.WORDS.values()):
        assert text.en.strip() and text.zh.strip()
