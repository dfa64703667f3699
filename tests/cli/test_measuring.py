"""`envdoctor fix pip-mirror --fastest`: measured by the bench over real servers, written by the fix."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from envdoctor.bench import sites
from envdoctor.bench.sites import Patient, Site
from envdoctor.cli.app import run
from tests import needs
from tests.bench import mirror_sites as lab


def test_the_fastest_is_measured_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nginx, openssl = needs.program("nginx", "nginx-light"), needs.program("openssl")
    home = tmp_path / "home"
    home.mkdir()
    conf = home / "pip.conf"
    real = sites.sites
    with lab.twelve(nginx, openssl, tmp_path) as (known, ca):

        def here(of: Patient, names: Sequence[str] = (), urls: Sequence[str] = ()) -> tuple[Site, ...]:
            return real(of, tuple(known.values()))

        # The sites on this machine stand for the mirrors of the table, which a test does not call.
        monkeypatch.setattr(sites, "sites", here)
        for name, value in lab.environment(ca, home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HOME", str(home))
        conf.write_text(f"[global]\ncert = {ca}\nindex-url = {known['slow, 400 kB/s']}\n")
        code = run(["fix", "pip-mirror", "--fastest", "--yes", "--python", sys.executable])
        first = capsys.readouterr()
        written = conf.read_text()
        again = run(["fix", "pip-mirror", "--fastest", "--yes", "--python", sys.executable])
        second = capsys.readouterr()
        kept = conf.read_text()
    assert code == 0, first.out + first.err
    assert "(the fastest of 12)" in first.out and "it is in effect" in first.out
    fast = {url for name, url in known.items() if name.startswith("fast")}
    before = f"[global]\ncert = {ca}\nindex-url = "
    assert written.removeprefix(before).strip() in fast
    # Several are as fast as each other: on a busy machine another one of them may win the second time.
    assert again == 0 and kept.removeprefix(before).strip() in fast, second.out + second.err
    assert (kept == written) == ("nothing to do" in second.out), second.out + second.err


def test_without_a_usable_mirror_none_is_the_fastest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from envdoctor.errors import UsageError

    dead = f"http://127.0.0.1:{lab.free_port()}/simple"
    real = sites.sites
    monkeypatch.setattr(sites, "sites", lambda of: real(of, (dead,)))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="no mirror could be measured"):
        run(["fix", "pip-mirror", "--fastest", "--yes", "--python", sys.executable])
    assert not (tmp_path / ".config").exists()
