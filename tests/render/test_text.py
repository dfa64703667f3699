"""envdoctor/render/text.py"""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from envdoctor.model import Finding, Missing, Outcome, Problem, Severity, Text, Topic, TopicLine
from envdoctor.redact import Redactor
from envdoctor.render import Style, cut, text
from envdoctor.render.words import why_missing
from tests.render.reports import CAUSE, check_for, report


def said(**style: object) -> str:
    return text.render(report(), Style(**style), Redactor(b"k" * 16))  # type: ignore[arg-type]


def test_the_order_is_who_topics_problems_tally() -> None:
    page = said()
    places = [
        page.index(part)
        for part in ("envdoctor 0.1.0 on gpu-a01", "✗ driver", "error[driver-too-old]", "warning[pip", "2 errors")
    ]
    assert places == sorted(places)
    assert page.splitlines()[-1] == "2 errors, 1 warning, 1 note; 7 checks in 1.3 s, 1 not run (-v says why), 2 crashed"


def test_a_block_names_what_was_seen_what_follows_and_the_command() -> None:
    block = said().split("\n\n")[2]
    assert block.splitlines() == [
        "error[driver-too-old]: the driver 535.104.05 is too old for CUDA 13.0",
        "  seen  535.104.05 (/proc/driver/nvidia/version)",
        "  so    CUDA does not initialise",
        "  fix   pip install torch==2.10.0",
        "        or ask for driver 580",
        "  thus  no GPU is visible to torch [gpu-not-visible]",
        "  more  envdoctor explain driver-too-old",
    ]


def test_consequences_are_folded_unless_asked_for() -> None:
    assert "error[gpu-not-visible]" not in said()
    assert "error[gpu-not-visible]" in said(verbosity=1)


def test_notes_and_reasons_for_skips_come_with_v() -> None:
    assert "gpu-persistence-off" not in said()
    page = said(verbosity=1)
    assert "note[gpu-persistence-off]" in page
    assert "/sys/class/infiniband is absent: port_down" in page


def test_a_note_that_is_all_there_is_to_say_has_no_tick() -> None:
    absent = Problem("torch-missing", Severity.NOTE, Text("there is no torch", "没有 torch"), Text("it ends", "会中止"))
    looked = Outcome(check_for("torch_missing", "torch", absent), "ran", (absent.found(),))
    told = replace(report(), outcomes=(looked,), findings=looked.findings, topics=(TopicLine(Topic("torch", 65)),))
    page = text.render(told, Style(), Redactor(b"k" * 16))
    assert "\n- torch  there is no torch\n" in page
    summed_up = replace(told, topics=(TopicLine(Topic("torch", 65), Text("2.8.0", "2.8.0")),))
    assert "\n✓ torch  2.8.0\n" in text.render(summed_up, Style(), Redactor(b"k" * 16))


def test_a_topic_that_could_not_be_checked_says_why() -> None:
    assert "- rdma    not checked: /sys/class/infiniband is absent" in said()


def test_what_was_mostly_not_checked_has_no_tick() -> None:
    absent = Missing("rdma", "not-here", "/sys/class/infiniband is absent")
    outcomes = (Outcome(check_for("down", "rdma"), "skipped", missing=absent), Outcome(check_for("log", "rdma"), "ran"))
    told = replace(report(), outcomes=outcomes, findings=(), topics=(TopicLine(Topic("rdma", 80)),))
    page = text.render(told, Style(), Redactor(b"k" * 16))
    assert "\n- rdma  1 not checked: /sys/class/infiniband is absent\n" in page
    summed_up = replace(told, topics=(TopicLine(Topic("rdma", 80), Text("2 ports", "2 个端口")),))
    assert "\n✓ rdma  2 ports (1 not checked)\n" in text.render(summed_up, Style(), Redactor(b"k" * 16))


def test_quiet_shows_problems_only() -> None:
    page = said(verbosity=-1)
    assert page.startswith("error[driver-too-old]")
    assert "2 errors" not in page


def test_quiet_and_well_says_nothing_at_all() -> None:
    """cron sends a mail for an empty line as well."""
    well = replace(report(), findings=(), outcomes=(), unloaded={})
    assert text.render(well, Style(verbosity=-1), Redactor(b"k" * 16)) == ""


def test_crashes_and_broken_files_are_named() -> None:
    page = said()
    assert "the check odd (shm) crashed: ValueError: [x]" in page
    assert "broken.py: SyntaxError" in page
    assert "odd.py:3" not in page
    assert "odd.py:3" in said(verbosity=2)


def test_values_cannot_steer_the_terminal_or_be_markup() -> None:
    page = said()
    assert "\x1b" not in page
    assert "[red]simple\\x1b[31m" in page


def test_credentials_do_not_appear() -> None:
    assert "hunter2secret" not in said(verbosity=2)


def test_colour_only_where_asked_for() -> None:
    assert "\x1b[" in said(colour=True)
    assert "\x1b[" not in said(colour=False)


def test_without_unicode_the_marks_are_words() -> None:
    page = said(unicode=False)
    assert "ok disk" in page
    assert "X  driver" in page
    assert "✓" not in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sixty_columns_are_kept_but_for_commands(language: str) -> None:
    for line in said(language=language, width=60, verbosity=1).splitlines():
        assert cell_len(line) <= 60 or "pip install" in line or "envdoctor explain" in line or "://" in line, line


def test_broken_lines_fill_the_terminal_and_continue_under_their_text() -> None:
    page = text.Page(Style(width=40))
    page.line(("  seen  ", "dim"), ("a rank or DataLoader worker ends with signal 9\nand another", ""), indent=8)
    assert page.text().splitlines() == [
        "  seen  a rank or DataLoader worker ends",
        "        with signal 9",
        "        and another",
    ]
    page = text.Page(Style(width=40))
    page.line(("", ""), ("x" * 90, ""), indent=8)
    assert [len(line) for line in page.text().splitlines()] == [40, 40, 26], "8 + 32, 8 + 18"


def test_a_long_command_is_not_broken() -> None:
    page = said(width=24)
    assert "pip install torch==2.10.0" in page
    assert "envdoctor explain driver-too-old\n" in page


def test_a_problem_of_the_user_s_own_checks_is_explained_with_them() -> None:
    whole = report()
    own = replace(whole.findings[0], explained_with=("--checks", "my checks"))
    page = text.render(replace(whole, findings=(own,)), Style(), Redactor(b"k" * 16))
    assert "  more  envdoctor explain driver-too-old --checks 'my checks'\n" in page


def test_chinese_is_aligned_by_cells() -> None:
    page = said(language="zh")
    assert "错误[driver-too-old]：驱动 535.104.05 对 CUDA 13.0 来说太旧" in page
    assert page.splitlines()[-1].startswith("2 个错误、1 个警告、1 个提示")
    assert "  观测  535.104.05" in page


def test_of_a_stack_its_innermost_frame_is_told() -> None:
    stack = 'Stack (most recent call first):\n  File "/x/torch/__init__.py", line 3 in <module>\n  File "y", line 1'
    told = why_missing(Missing("torch-import", "hung", stack), "en", Redactor(b"k" * 16))
    assert told == 'torch-import: hung (File "/x/torch/__init__.py", line 3 in <module>)'


def test_what_is_cut_fits_by_cells_and_steers_no_terminal() -> None:
    assert cut("64 nodes", 5) == "64 no"
    assert cut("等待 gpu01", 6) == "等待 g"
    assert cut("等待", 3) == "等"
    assert cut("a\x1b[2J\nb", 60) == "a\\x1b[2J b"
    assert cut("abc", 0) == ""


def test_what_failed_has_no_tick_where_another_topic_tells_why() -> None:
    resort = replace(CAUSE, code="bench-stopped", last_resort=True)
    unsaid = Finding(resort, {"driver": "535", "cuda": "13.0", "version": "2.10.0"})
    line = TopicLine(Topic("allreduce", 900, Text("a", "a")), Text("stopped at join", "停在 join"))
    outcome = Outcome(check_for("stopped", "allreduce", resort), "ran", (unsaid,))
    whole = replace(report(), topics=(line,), outcomes=(outcome,))
    redactor = Redactor(b"k" * 16)
    assert "✗ allreduce  stopped at join\n" in text.render(whole, Style(), redactor)
    fine = replace(whole, outcomes=(replace(outcome, findings=()),))
    assert "✓ allreduce  stopped at join\n" in text.render(fine, Style(), redactor)
