"""envdoctor/bench/memory.py: what may still be taken, in containers too."""

from __future__ import annotations

from pathlib import Path

import pytest

from envdoctor.bench import memory

GIB = 1 << 30


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 64 GiB to have."""
    (tmp_path / "meminfo").write_text(f"MemTotal: {128 * GIB >> 10} kB\nMemAvailable: {64 * GIB >> 10} kB\nPages: x\n")
    monkeypatch.setattr(memory, "PROC", str(tmp_path))
    monkeypatch.setattr(memory, "CGROUP", str(tmp_path))
    return tmp_path


def group(root: Path, limit: str, use: int, cached: int) -> None:
    (root / "memory.max").write_text(limit + "\n")
    (root / "memory.current").write_text(f"{use}\n")
    (root / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")


def test_what_the_machine_has(root: Path) -> None:
    assert memory.free() == 64 * GIB


@pytest.mark.parametrize(
    ("limit", "use", "cached", "free"),
    [
        ("max", GIB, 0, 64 * GIB),
        (str(8 * GIB), 3 * GIB, 2 * GIB, 7 * GIB),
        (str(8 * GIB), 9 * GIB, 0, 0),
        (str(512 * GIB), GIB, 0, 64 * GIB),
    ],
)
def test_what_a_container_leaves(root: Path, limit: str, use: int, cached: int, free: int) -> None:
    group(root, limit, use, cached)
    assert memory.free() == free


def test_the_first_version_of_control_groups(root: Path) -> None:
    (root / "memory").mkdir()
    (root / "memory" / "memory.limit_in_bytes").write_text(f"{4 * GIB}\n")
    (root / "memory" / "memory.usage_in_bytes").write_text(f"{GIB}\n")
    assert memory.free() == 3 * GIB
    (root / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")  # none
    assert memory.free() == 64 * GIB


def test_where_nothing_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PROC", str(tmp_path))
    monkeypatch.setattr(memory, "CGROUP", str(tmp_path))
    assert memory.free() == memory.MOST
