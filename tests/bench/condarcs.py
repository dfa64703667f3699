"""Switches conda's mirror in made-up homes: conda makes the right thing of it, a second run is idle, undo is exact.

    python -m tests.bench.condarcs --count 10000 [--seed 1]

Every home is synchronised to the disk several times: TMPDIR=/dev/shm is ten times as fast.
With ENVDOCTOR_TEST_CONDA set to a Python that can import conda, conda itself reads what was written as well.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.edits.conda_switch import on_mirror, packages_of, plain
from envdoctor.facts.conda import CondaConfig
from envdoctor.facts.host import Host
from envdoctor.facts.index import AskedPlaces, IndexProbe
from envdoctor.journal import Journal
from envdoctor.knowledge import conda_channels
from envdoctor.patient import conda_config
from envdoctor.permission import LocalFiles, settled
from envdoctor.plan import apply, undo
from envdoctor.remedy import Fix, Plan
from envdoctor.testing import topic_file
from tests import CHECKS
from tests.edits.condarcs import condarcs
from tests.patient.conda_oracle import Effective, RealConda, real_conda, restated

# Weakest first, as conda has it: its root, the user's files, the environment's.
PLACES = ("root/.condarc", "home/.config/conda/.condarc", "home/.condarc", "prefix/.condarc")
OPTIONS: tuple[dict[str, Any], ...] = (
    {"tuna": True}, {"bfsu": True}, {"ustc": True}, {"url": "https://conda.example:8443/mirror"}, {"official": True},
)  # fmt: skip
homes = st.dictionaries(st.sampled_from(PLACES), condarcs(), max_size=3)


@functools.cache
def the_fix() -> Fix:
    """`envdoctor fix conda-mirror`."""
    found: Fix = next(fix for fix in topic_file(CHECKS / "conda_mirror.py").fixes if fix.name == "conda-mirror")
    return found


def paths(folder: Path) -> list[Path]:
    """The files that are there, weakest first."""
    return [folder / place for place in PLACES if (folder / place).exists()]


def observed(folder: Path) -> CondaConfig:
    """The fact, from the patient's own reading of these files."""
    read = conda_config.files([str(path) for path in paths(folder)])
    merged = conda_config.merged(read, {})
    told = {
        "files": read, "channels": merged["channels"], "default_channels": merged["default_channels"],
        "channel_alias": merged["alias"], "home": str(folder / "home"),
        "search": [str(folder / place) for place in PLACES],
        "custom_channels": [{"name": name, "items": place} for name, place in merged["custom_channels"].items()],
    }  # fmt: skip
    fact = decode.fact("conda-config", json.loads(json.dumps(told)))
    assert isinstance(fact, CondaConfig)
    return fact


def answering(fix: Fix, config: CondaConfig, options: dict[str, Any], gone: tuple[str, ...]) -> AskedPlaces:
    """Every address answers, but for those that end in one of `gone`."""
    assert fix.asks is not None
    wanted = list(fix.asks(config, None, **options))
    return AskedPlaces(
        tuple(
            IndexProbe(
                kind="channel", url=place.url, outcome="answered", status=404 if place.url.endswith(gone) else 200
            )
            for place in wanted
        )
    )


def expect_switched(
    before: Effective, now: Effective, options: dict[str, Any], gone: tuple[str, ...], marked: bool
) -> None:
    """What conda is to make of the files. `marked`: #!top and #!bottom stay on their lines and may change the order."""
    wanted_channels = list(dict.fromkeys(map(plain, before.channels)))
    assert sorted(now.channels) == sorted(wanted_channels), (now.channels, wanted_channels)
    assert marked or list(now.channels) == wanted_channels, (now.channels, wanted_channels)
    assert not on_mirror(now.alias)
    named = next((name for name in options if name not in ("url", "official")), "")
    mirror = conda_channels.named(named) if named else conda_channels.CondaMirror("", options.get("url", ""))
    assert mirror is not None
    ours = {name: value for name, value in now.custom_channels.items() if on_mirror(value)}
    theirs = {name: value for name, value in before.custom_channels.items() if conda_channels.address(value) is None}
    assert theirs.items() <= now.custom_channels.items()
    packages = [url for url in now.default_channels if packages_of(url)]
    if "official" in options:
        assert not ours and not packages
        return
    uses = not before.channels or "defaults" in map(plain, before.channels) or bool(before.default_channels)
    held = [mirror.of_packages(name) for name in ("main", "r") if name in mirror.packages]
    wanted = [url for url in held if not url.endswith(gone)] if uses or packages else []
    assert sorted(packages) == sorted(wanted), (packages, wanted)
    assert marked or packages == wanted, (packages, wanted)
    if conda_channels.address(now.custom_channels.get("conda-forge", mirror.cloud)) is not None:
        assert ours["conda-forge"] == mirror.cloud
    elsewhere = {name for name, value in ours.items() if value != mirror.cloud}
    assert elsewhere <= {"nvidia"}
    kept = [url for url in before.default_channels if not packages_of(url)]
    assert set(kept) <= set(now.default_channels)


def switch_and_back(folder: Path, home: dict[str, bytes], options: dict[str, Any], gone: tuple[str, ...],
                    conda: RealConda | None) -> None:  # fmt: skip
    """One made-up home: switched, read, switched again, undone."""
    for place, data in home.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(data)
    (folder / "home").mkdir(exist_ok=True)
    fix = the_fix()
    files, journal = LocalFiles(), Journal(folder / "state")
    before = restated(paths(folder))

    def planned() -> Plan:
        config = observed(folder)
        asked = answering(fix, config, options, gone)
        plan: Plan = fix.make(config, Host(), files, asked, **options)
        return settled(plan, files)

    plan = planned()
    entry = apply(plan, fix, journal).entry if plan.changes else None
    now = restated(paths(folder))
    marked = any(b"#!" in data for data in home.values())
    expect_switched(before, now, options, gone, marked)
    assert fix.verify is not None
    assert list(fix.verify(plan, observed(folder))) == []
    if conda:
        expect_conda_agrees(conda.read(paths(folder)), now)
    assert not planned().changes
    if entry:
        undo(entry, journal)
    for place in PLACES:
        assert ((folder / place).read_bytes() if (folder / place).exists() else None) == home.get(place)


def expect_conda_agrees(told: dict[str, Any], now: Effective) -> None:
    """conda's own reading is that of the restated rules."""
    assert "error" not in told, told
    assert told["channels"] == list(now.channels) or not now.channels, (told["channels"], now.channels)
    if now.default_channels and all("://" in url for url in now.default_channels):
        assert [url.rstrip("/") for url in told["default_channels"]] == [
            url.rstrip("/") for url in now.default_channels
        ]
    for name, value in now.custom_channels.items():
        assert told["custom_channels"].get(name) == value.rstrip("/")
        if on_mirror(value):
            assert told["urls"][name] == f"{value.rstrip('/')}/{name}", told["urls"]


def main() -> None:
    """Run so many homes; the first that fails is shown as small as it can be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    conda = real_conda()
    ran = 0

    @seed(asked.seed)
    @settings(max_examples=asked.count, deadline=None, database=None, suppress_health_check=list(HealthCheck),
              phases=(Phase.generate, Phase.shrink))  # fmt: skip
    @given(homes, st.sampled_from(OPTIONS), st.sampled_from((("/pkgs/r",), ("/none",), ("/cloud/pytorch", "/nvidia"))))
    def one(home: dict[str, bytes], options: dict[str, Any], gone: tuple[str, ...]) -> None:
        nonlocal ran
        with tempfile.TemporaryDirectory() as folder:
            switch_and_back(Path(folder), home, options, gone, conda)
        ran += 1

    started = time.monotonic()
    one()
    print(f"{ran} homes in {time.monotonic() - started:.0f} s, 0 failures; conda itself: {'asked' if conda else 'no'}")
    if conda:
        conda.close()


if __name__ == "__main__":
    main()
