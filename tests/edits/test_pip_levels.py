"""edits/pip_levels.py: who wins after an edit. The real pip is asked in tests/checks/test_pip_mirror.py."""

from __future__ import annotations

import pytest

from envdoctor.edits.ini import Unfit
from envdoctor.edits.pip_levels import Levels, Written
from envdoctor.remedy import Files
from tests.checks.pip_configs import PLACES, index, written
from tests.unreadable import Unreadable

A, B, NEW = (f"https://{name}.example/simple" for name in "abn")


def levels(texts: dict[str, str], locked: tuple[str, ...] = (), variables: dict[str, str] | None = None) -> Levels:
    files = Files({PLACES[name][1]: text.encode() for name, text in texts.items()}, (PLACES[n][1] for n in locked))
    return Levels(written(**texts, variables=variables), files)  # type: ignore[arg-type]


def right(won: Written | None) -> bool:
    return won is not None and won.value == NEW


def test_the_winner_is_that_of_the_bytes_as_they_would_be() -> None:
    found = levels({"user": index(A), "site": f"[install]\nindex-url = {B}"}, variables={"PIP_INDEX_URL": NEW})
    won = found.winner("index-url")
    assert won is not None and (won.value, won.place, won.section, won.own) == (
        B,
        "/opt/venv/pip.conf:2",
        "install",
        True,
    )
    found.remove(won)
    left = found.winner("index-url")
    assert left is not None and left.value == A
    by_variable = found.winner("index-url", variables=True)
    assert by_variable is not None and by_variable.variable == "PIP_INDEX_URL" and not by_variable.own
    assert [edit.after for edit in found.edits()] == [b"[install]"]


def test_what_is_dropped_in_vain_stays() -> None:
    found = levels({"etc": index(B), "user": index(A)}, locked=("etc",))
    assert not found.drop("index-url", lambda won: won is None)
    assert found.edits() == ()
    assert levels({"user": index(A), "legacy": index(B)}).drop("index-url", lambda won: won is None)


def test_an_empty_value_that_hides_others_is_written_over() -> None:
    found = levels({"user": index(A), "site": "[global]\nindex-url =\n"})
    assert found.winner("index-url") is None
    found.make("index-url", lambda _: NEW, right)
    assert [edit.path for edit in found.edits()] == ["/opt/venv/pip.conf"]


def test_what_no_edit_can_make_so_is_refused() -> None:
    with pytest.raises(Unfit, match="no file is known"):
        levels({}).make("index-url", lambda _: A, right)


def test_a_file_that_may_not_be_read_is_left_out() -> None:
    found = Levels(written(user=index(A)), Unreadable())
    assert found.winner("index-url") is None and found.bases() == []


def test_values_that_pip_refuses() -> None:
    found = levels({"user": index(A, "timeout = 3,5")})
    won = found.refused()
    assert won is not None and won.key == "timeout"
    found.comment(won)
    assert found.refused() is None
