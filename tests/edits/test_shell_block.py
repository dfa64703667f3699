"""envdoctor/edits/shell_block.py: the block changes, every other byte stays."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envdoctor.edits import shell_block
from envdoctor.edits.shell_block import BEGIN, END, Line

B, E = BEGIN + b"\n", END + b"\n"
HF = Line("HF_ENDPOINT", "export HF_ENDPOINT=https://hf-mirror.com")
OTHER = Line("HF_ENDPOINT", "export HF_ENDPOINT=https://other")
PATH = Line("cuda-path", 'export PATH=/cuda/bin:"$PATH"')

# Pieces of start-up files, whole and damaged, in any order.
PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                B, E, BEGIN, END, BEGIN + b"\r\n", END + b"\r\n", b"  " + B, b"\n", b"\r\n", b"# caf\xe9\n", b"a \\\n",
                HF.text.encode() + b"\n", b"export HF_ENDPOINT=x # mine\n", b"export HF_ENDPOINT=$(x)\n",
                b"alias l=ls\n", b"# envdoctor: cuda-path\n", b"case $- in\n", b"*) return;;\n", b"esac\n",
                b"last without end", b"\x0c\x85\n",
            ]
        ),
        st.binary(max_size=12),
    ),
    max_size=14,
).map(b"".join)  # fmt: skip
LINES = st.sampled_from([HF, OTHER, PATH, Line("X", "set -gx X 'a b'"), Line("hook", "eval $(x)")])


def outside(content: bytes | None) -> bytes:
    """What is not the work of envdoctor: everything but whole blocks' marks and the lines there with a purpose."""
    lines = shell_block._lines(content or b"")
    gone: set[int] = set()
    for block in shell_block._blocks(lines):
        inside = range(block.begin + 1, block.end)
        gone |= {block.begin, block.end} | {n for n in inside if shell_block.purpose_of(lines[n])}
    return b"".join(line for number, line in enumerate(lines) if number not in gone)


def held(content: bytes | None) -> dict[str, str]:
    """The lines of the block by purpose; where several have the same, the last, which is the one that counts."""
    lines = shell_block._lines(content or b"")
    return {
        purpose: lines[number].rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        for block in shell_block._blocks(lines)
        for number in range(block.begin + 1, block.end)
        if (purpose := shell_block.purpose_of(lines[number]))
    }


def test_a_new_block_stands_at_the_end() -> None:
    once = shell_block.put(b"alias l=ls\n", HF)
    assert once == b"alias l=ls\n" + B + b"export HF_ENDPOINT=https://hf-mirror.com\n" + E
    assert shell_block.put(once, HF) == once
    assert shell_block.take(once, "HF_ENDPOINT") == b"alias l=ls\n"


def test_a_file_that_is_not_there() -> None:
    assert shell_block.put(None, HF) == B + HF.written() + b"\n" + E
    assert shell_block.take(None, "X") is None


def test_a_line_takes_the_place_of_the_one_before_and_leaves_others() -> None:
    content = shell_block.put(shell_block.put(b"a\n", HF), PATH) + b"z\n"
    again = shell_block.put(content, OTHER)
    assert again == content.replace(b"hf-mirror.com", b"other")[: len(content)].replace(
        b"https://hf-mirror.com", b"https://other"
    )
    assert held(again) == {
        "HF_ENDPOINT": "export HF_ENDPOINT=https://other",
        "cuda-path": 'export PATH=/cuda/bin:"$PATH"  # envdoctor: cuda-path',
    }
    assert shell_block.take(shell_block.take(again, "HF_ENDPOINT"), "cuda-path") == b"a\nz\n"


def test_what_the_user_wrote_into_the_block_stays() -> None:
    content = B + b"export HF_ENDPOINT=https://mine  # slow link\n# a note\nalias l=ls\n" + E
    changed = shell_block.put(content, HF)
    assert changed == content.replace(b"https://mine", b"https://hf-mirror.com")
    assert shell_block.take(changed, "HF_ENDPOINT") == B + b"# a note\nalias l=ls\n" + E


def test_a_line_of_the_block_that_does_more_is_the_user_s_and_ours_comes_after_it() -> None:
    content = B + b"export HF_ENDPOINT=$(choose); alias l=ls\n" + E
    assert shell_block.put(content, HF) == B + b"export HF_ENDPOINT=$(choose); alias l=ls\n" + HF.written() + b"\n" + E


@pytest.mark.parametrize(
    "content",
    [
        B + b"export HF_ENDPOINT=x\nuser's\n",
        b"user's\n" + E + b"export HF_ENDPOINT=x\n",
        B + B + b"user's\n",
        E + B,
        B + b"user's\n" + B + b"export X=1\n" + E + b"more\n" + E,
    ],
)
def test_damaged_marks_lose_nothing(content: bytes) -> None:
    changed = shell_block.put(content, HF)
    assert changed.replace(HF.written() + b"\n", b"").replace(B + E, b"") == content
    assert shell_block.put(changed, HF) == changed
    # An empty block is left where taking it away would make another one of the user's text.
    assert (shell_block.take(changed, "HF_ENDPOINT") or b"").replace(B + E, b"") == content.replace(B + E, b"")


def test_a_line_that_the_user_made_a_comment_is_left_and_a_new_one_comes_after_it() -> None:
    content = B + b'# export PATH=/cuda/bin:"$PATH"  # envdoctor: cuda-path\n# envdoctor: cuda-path\n' + E
    assert shell_block.put(content, PATH) == content.replace(E, PATH.written() + b"\n" + E)
    assert shell_block.take(content, "cuda-path") == content


def test_of_two_blocks_the_line_stays_in_the_last() -> None:
    content = B + b"export HF_ENDPOINT=1\nexport X=1\n" + E + b"user's\n" + B + b"export HF_ENDPOINT=2\n" + E
    assert shell_block.put(content, HF) == (B + b"export X=1\n" + E + b"user's\n" + B + HF.written() + b"\n" + E)


def test_a_block_before_a_line() -> None:
    content = b"# head\ncase $- in\n*) return;;\nesac\n"
    first = shell_block.put(content, HF, before=1)
    assert first == b"# head\n" + B + HF.written() + b"\n" + E + content[7:]
    assert shell_block.put(first, HF, before=4) == first


def test_a_block_that_stands_too_late_is_moved() -> None:
    content = b"case $- in\n*) return;;\nesac\n" + B + b"export HF_ENDPOINT=x\nexport X=1\n" + E
    moved = shell_block.put(content, HF, before=0)
    assert moved == B + HF.written() + b"\n" + E + content.replace(b"export HF_ENDPOINT=x\n", b"")


def test_windows_line_ends_and_odd_bytes_survive_and_own_lines_have_none() -> None:
    content = b"# caf\xe9\r\nalias l=ls\r\n\x00\xff"
    changed = shell_block.put(content, HF)
    assert changed == content + b"\n" + B + HF.written() + b"\n" + E
    windows = (BEGIN + b"\n" + HF.written() + b"\n" + END + b"\n").replace(b"\n", b"\r\n")
    assert shell_block.put(windows, OTHER) == windows.replace(HF.written() + b"\r\n", OTHER.written() + b"\n")


@pytest.mark.parametrize(
    ("last", "between"), [(b"a \\", b"\n\n"), (b"a \\\n", b"\n"), (b"a \\\\\n", b""), (b"a", b"\n")]
)
def test_no_line_runs_on_into_the_block(last: bytes, between: bytes) -> None:
    assert shell_block.put(last, HF).startswith(last + between + B)


def test_the_user_s_own_settings_become_comments_that_keep_their_text() -> None:
    content = (
        b"export HF_ENDPOINT=a\n  export HF_ENDPOINT=b\nHF_ENDPOINT='c' # x\nset -gx HF_ENDPOINT d\n"
        b"unset HF_ENDPOINT\nexport HF_ENDPOINT=$e\nexport HF_ENDPOINT=f; ls\nexport HF_ENDPOINTS=g\r\n"
    )
    mark = b": # taken out by envdoctor: "
    changed = shell_block.supersede(content, shell_block.sets("HF_ENDPOINT"))
    own = [line.startswith(mark) for line in changed.splitlines()]
    assert own == [True, False, True, True, True, False, False, False]
    assert changed.replace(mark, b"") == content
    assert shell_block.supersede(changed, shell_block.sets("HF_ENDPOINT")) == changed


@pytest.mark.parametrize(
    ("line", "fits"),
    [
        (b"export PATH=/usr/local/cuda-11.8/bin:$PATH", True),
        (b'export PATH="/usr/local/cuda/bin:$PATH"  # cuda', True),
        (b"PATH=/usr/local/cuda/bin/${PATH:+:${PATH}}", True),
        (b"export PATH=$PATH:/usr/local/cuda/bin", True),
        (b"set -gx PATH /usr/local/cuda/bin $PATH", True),
        (b"fish_add_path /usr/local/cuda/bin", True),
        (b"export PATH=/usr/local/cuda/bin:/opt/x/bin:$PATH", False),
        (b"export PATH=/opt/x/bin:$PATH", False),
        (b"export PATH=/usr/local/cuda/bin", False),
        (b"export PATH=/usr/local/cuda/bin:$PATH; ls", False),
        (b"  export PATH=/usr/local/cuda/bin:$PATH", False),
        (b"export MYPATH=/usr/local/cuda/bin:$PATH", False),
    ],
)
def test_a_line_that_puts_one_folder_on_a_list_is_known(line: bytes, fits: bool) -> None:
    pattern = shell_block.adds_to("PATH", re.compile(rb"/usr/local/cuda[^:\s\"'$]*/bin"))
    assert (pattern.fullmatch(line) is not None) == fits


def test_only_what_comes_after_the_block_wins_over_it() -> None:
    content = b"export X=1\n" + B + b"export X=2\n" + E + b"export X=3\n"
    after = shell_block.after_block(content, "X")
    assert shell_block.supersede(content, shell_block.sets("X"), after).count(b"taken out") == 1
    assert shell_block.after_block(content, "Y") == 0


@given(PIECES, LINES)
@example(b"a \\\n" + B + E, HF)
def test_a_second_run_changes_nothing_and_nobody_s_text_is_lost(content: bytes, line: Line) -> None:
    once = shell_block.put(content, line)
    assert shell_block.put(once, line) == once
    assert shell_block.purpose_of(line.written()) == line.purpose
    assert any(one.startswith(line.written()) for one in once.split(b"\n"))  # a comment behind it is kept
    assert outside(once).replace(b"\n", b"") == outside(content).replace(b"\n", b"")
    gone = shell_block.take(once, line.purpose)
    assert line.purpose not in held(gone)
    assert shell_block.take(gone, line.purpose) == gone


@given(PIECES, LINES, st.data())
def test_before_any_line_the_same_holds(content: bytes, line: Line, data: st.DataObject) -> None:
    count = len(shell_block._lines(content))
    before = data.draw(st.integers(0, count))
    once = shell_block.put(content, line, before)
    assert outside(once).replace(b"\n", b"") == outside(content).replace(b"\n", b"")
    assert any(one.startswith(line.written()) for one in once.split(b"\n"))  # a comment behind it is kept


@given(PIECES)
def test_taking_a_line_that_is_not_there_changes_nothing(content: bytes) -> None:
    assert shell_block.take(content, "NOT_THERE") == content
    assert shell_block.supersede(content, shell_block.sets("NOT_THERE")) == content


@given(st.binary(max_size=200).filter(lambda content: BEGIN not in content and END not in content), LINES)
def test_a_line_that_was_put_is_taken_to_the_byte(content: bytes, line: Line) -> None:
    gone = shell_block.take(shell_block.put(content, line), line.purpose)
    assert gone is not None and gone.startswith(content)
    assert gone[len(content) :] in (b"", b"\n", b"\n\n")
    if content.endswith(b"\n") and not content.endswith(b"\\\n"):
        assert gone == content
