"""checks/conda_mirror.py: plans from facts, and real ones in a scratch home with a channel server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envdoctor import Files, Plan, UsageError
from envdoctor.facts.conda import CondaConfig, CondaPair, Condarc, CondaSetting
from envdoctor.facts.host import Host
from envdoctor.facts.index import AskedPlaces, IndexProbe
from envdoctor.knowledge import conda_channels
from tests import ROOT
from tests.bench.condarcs import OPTIONS, homes, switch_and_back, the_fix
from tests.patient.conda_oracle import RealConda, real_conda
from tests.patient.index_servers import serving
from tests.unreadable import Unreadable

TUNA = "https://mirrors.tuna.tsinghua.edu.cn/anaconda"
RC = "/home/ada/.condarc"
SEARCH = ("/etc/conda/.condarc", RC, "/opt/envs/train/.condarc")


def config(*files: Condarc, **more: Any) -> CondaConfig:
    """The fact as the patient would have it, for files that say little."""
    channels = tuple(item for file in files if (found := file.setting("channels")) for item in found.items)
    return CondaConfig(files=files, channels=channels, home="/home/ada", search=SEARCH, **more)


def setting(key: str, *items: str, **pairs: str) -> CondaSetting:
    return CondaSetting(
        key, 1, items, tuple(CondaPair(name.replace("_", "-"), (url,), 2) for name, url in pairs.items())
    )


def answers(*gone: str, **other: Any) -> AskedPlaces:
    """Every address of every mirror answers, but for those named."""
    urls = [
        f"{mirror.endpoint}/{rest}"
        for mirror in conda_channels.mirrors()
        for rest in (*(f"pkgs/{name}" for name in mirror.packages), *(f"cloud/{name}" for name in mirror.channels))
    ]
    told = {"outcome": "answered", **other}
    return AskedPlaces(
        tuple(IndexProbe(kind="channel", url=url, **{"status": 404 if url in gone else 200, **told}) for url in urls)
    )


def plan(fact: CondaConfig, files: dict[str, bytes], asked: AskedPlaces | None = None, **options: Any) -> Plan:
    made = the_fix().make(fact, Host(system="linux"), Files(files), asked, **options)
    assert isinstance(made, Plan)
    return made


def said_by(made: Plan) -> str:
    return "\n".join(remark.said.say("en") for remark in made.remarks)


def test_the_recipe_of_the_mirror_is_written_where_there_is_nothing() -> None:
    made = plan(config(), {}, answers(), tuna=True)
    assert made.edits[0].after is not None
    assert made.edits[0].after.decode() == (
        "default_channels:\n"
        f"  - {TUNA}/pkgs/main\n"
        f"  - {TUNA}/pkgs/r\n"
        "custom_channels:\n"
        f"  conda-forge: {TUNA}/cloud\n"
        f"  pytorch: {TUNA}/cloud\n"
        "  nvidia: https://mirrors.sustech.edu.cn/anaconda-extra/cloud\n"
    )
    assert "licence" in said_by(made) and "conda clean -i" in said_by(made)


def test_what_is_gone_is_left_out_and_named() -> None:
    gone = (f"{TUNA}/pkgs/r", "https://mirrors.sustech.edu.cn/anaconda-extra/cloud/nvidia")
    made = plan(config(), {}, answers(*gone), tuna=True)
    text = (made.edits[0].after or b"").decode()
    assert "pkgs/main" in text and "pkgs/r" not in text and "nvidia" not in text
    assert f"{TUNA}/pkgs/r (HTTP 404)" in said_by(made)


def test_a_channel_without_packages_for_this_platform_is_as_good_as_gone() -> None:
    made = plan(config(), {}, answers(status_platform=404, status=200), url="https://conda.example")
    assert b"conda.example/cloud" in (made.edits[0].after or b"")  # it was not among those that answered
    with pytest.raises(UsageError, match="none of these channels"):
        plan(config(), {}, answers(status_platform=404, status=200), tuna=True)


def test_a_mirror_that_is_gone_is_refused() -> None:
    every = [probe.url for probe in answers().probes if probe.url.startswith(TUNA)]
    with pytest.raises(UsageError, match="holds none of these channels now"):
        plan(config(), {}, answers(*every), tuna=True)


def test_out_of_reach_it_is_written_with_a_warning() -> None:
    silent = AskedPlaces(tuple(IndexProbe(kind="channel", url=p.url, outcome="no-name") for p in answers().probes))
    made = plan(config(), {}, silent, tuna=True)
    assert b"pkgs/main" in (made.edits[0].after or b"") and b"nvidia" not in (made.edits[0].after or b"")
    assert "(no-name) (+3)" in said_by(made) and made.remarks[0].level == "warning"
    offline = plan(config(), {}, None, tuna=True)
    assert "--offline" in said_by(offline) and offline.edits == made.edits


def test_a_company_s_channel_and_the_order_stay() -> None:
    before = b"channels:\n  - ours\n  - conda-forge\ncustom_channels:\n  ours: https://conda.corp.example/api\n"
    files = Condarc(RC, settings=(setting("channels", "ours", "conda-forge"),
                                  setting("custom_channels", ours="https://conda.corp.example/api")))  # fmt: skip
    made = plan(config(files), {RC: before}, answers(), bfsu=True)
    text = (made.edits[0].after or b"").decode()
    assert text.startswith(before.decode()) and "default_channels" not in text
    assert "ours stays at https://conda.corp.example/api" in said_by(made)


def test_mamba_s_own_file_is_named() -> None:
    made = plan(config(), {"/home/ada/.mambarc": b"channels: [x]\n"}, answers(), tuna=True)
    assert "mamba reads /home/ada/.mambarc too" in said_by(made)


def test_settings_that_decide_over_a_mirror_and_the_end_of_a_channel_are_named() -> None:
    told = (
        setting("allowlist_channels", "x"),
        setting("custom_multichannels", defaults="x"),
        setting("channels", "pytorch"),
    )
    made = plan(config(Condarc(RC, settings=told)), {RC: b"channels: [pytorch]\n"}, answers(), tuna=True)
    assert f"allowlist_channels at {RC}:1 decides" in said_by(made)
    assert f"custom_multichannels at {RC}:1 decides" in said_by(made)
    assert "ended with torch 2.5.1" in said_by(made)


def test_the_file_that_wins_is_named_with_its_line() -> None:
    fix = the_fix()
    assert fix.verify is not None
    old = "https://mirrors.bfsu.edu.cn/anaconda"
    held = Condarc("/etc/conda/.condarc", settings=(setting("default_channels", f"{old}/pkgs/main"),
                                                    setting("custom_channels", bioconda=f"{old}/cloud")))  # fmt: skip
    fact = config(held, Condarc(RC), default_channels=(f"{old}/pkgs/main",),
                  custom_channels=(CondaPair("bioconda", (f"{old}/cloud",)),))  # fmt: skip
    against = [one.say("en") for one in fix.verify(plan(config(), {}, None, official=True), fact)]
    assert against == [
        f"default_channels also hold {old}/pkgs/main (/etc/conda/.condarc:1)",
        f"bioconda is asked of {old}/cloud (/etc/conda/.condarc:2)",
    ]


def test_a_file_that_cannot_be_read_is_left() -> None:
    files = Unreadable({SEARCH[2]})
    made = the_fix().make(config(Condarc(SEARCH[2])), Host(), files, answers(), tuna=True)
    assert "is left as it is: Permission denied" in said_by(made)


def test_official_takes_every_mirror_out() -> None:
    before = f"custom_channels:\n  bioconda: {TUNA}/cloud\n".encode()
    fact = config(Condarc(RC, settings=(setting("custom_channels", bioconda=f"{TUNA}/cloud"),)))
    made = plan(fact, {RC: before}, None, official=True)
    assert [(edit.before, edit.after) for edit in made.edits] == [(before, b"")]
    assert made.remarks == ()
    asks = the_fix().asks
    assert asks is not None and list(asks(fact, None, official=True)) == []


def test_channels_named_in_the_files_are_mirrored_too_windows_with_its_own() -> None:
    custom = setting("custom_channels", bioconda=f"{TUNA}/cloud", ours="https://c.example/x")
    files = Condarc(RC, settings=(setting("channels", "bioconda", "defaults", "local"), custom))
    fact = config(files, custom_channels=(CondaPair("ours", ("https://c.example/x",)),))
    made = the_fix().make(fact, Host(system="windows"), Files({RC: b""}), answers(), tuna=True)
    text = (made.edits[0].after or b"").decode()
    assert "pkgs/msys2" in text and f"  bioconda: {TUNA}/cloud" in text
    fix = the_fix()
    assert fix.verify is not None
    against = [one.say("en") for one in fix.verify(made, fact)]
    assert not any(one.startswith("ours") for one in against)


def test_ustc_holds_no_defaults() -> None:
    made = plan(config(), {}, answers(), ustc=True)
    assert b"default_channels" not in (made.edits[0].after or b"")
    assert "still come from Anaconda" in said_by(made)


def test_a_stronger_file_is_edited_too_and_a_weaker_one_only_where_it_counts() -> None:
    old = "https://mirrors.bfsu.edu.cn/anaconda"
    said = f"custom_channels:\n  conda-forge: {old}/cloud\ndefault_channels:\n  - {old}/pkgs/main\n".encode()
    told = (setting("custom_channels", conda_forge=f"{old}/cloud"), setting("default_channels", f"{old}/pkgs/main"))
    places = (SEARCH[0], SEARCH[2])
    fact = config(*(Condarc(path, settings=told) for path in places))
    made = plan(fact, dict.fromkeys(places, said), answers(), tuna=True)
    after = {edit.path: edit.after for edit in made.edits}
    assert after[SEARCH[0]] == f"custom_channels:\n  conda-forge: {old}/cloud\n".encode()
    assert after[SEARCH[2]] == b"" and b"tuna" in (after[RC] or b"")


def test_a_file_that_is_final_holds_the_recipe() -> None:
    said = b"default_channels: #!final\n  - https://mirrors.bfsu.edu.cn/anaconda/pkgs/main\n"
    fact = config(Condarc(SEARCH[0], settings=(CondaSetting("default_channels", 1, ("x",), final=True),)))
    made = plan(fact, {SEARCH[0]: said}, answers(), tuna=True)
    after = {edit.path: (edit.after or b"").decode() for edit in made.edits}
    assert "#!final\n  - https://mirrors.tuna" in after[SEARCH[0]] and "default_channels" not in after[RC]


def test_a_file_that_is_not_understood_is_refused_or_left() -> None:
    with pytest.raises(UsageError, match="line 1"):
        plan(config(Condarc(RC)), {RC: b"{channels: [a]}\n"}, answers(), tuna=True)
    made = plan(config(Condarc(SEARCH[2])), {SEARCH[2]: b"{channels: [a]}\n"}, answers(), tuna=True)
    assert [edit.path for edit in made.edits] == [RC] and "is left as it is: line 1" in said_by(made)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "say which mirror"),
        ({"tuna": True, "bfsu": True}, "say which mirror"),
        ({"tuna": True, "official": True}, "say which mirror"),
        ({"url": "mirror.example"}, "no address"),
        ({"url": "https://m.example/anaconda/cloud"}, "above /pkgs and /cloud: https://m.example/anaconda"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plan(config(), {}, None, **options)


def test_what_stands_against_it_is_named() -> None:
    fix = the_fix()
    assert fix.verify is not None
    wanted = plan(config(), {}, answers(), tuna=True)
    by_variable = config(
        variables=(CondaPair("CONDA_DEFAULT_CHANNELS", ("x",)),),
        default_channels=("https://mirrors.bfsu.edu.cn/anaconda/pkgs/main",),
        custom_channels=(CondaPair("bioconda", ("https://mirrors.bfsu.edu.cn/anaconda/cloud",)),),
        channel_alias="https://mirrors.bfsu.edu.cn/anaconda/cloud",
    )
    against = [one.say("en") for one in fix.verify(wanted, by_variable)]
    assert f"default_channels lack {TUNA}/pkgs/main (CONDA_DEFAULT_CHANNELS; unset CONDA_DEFAULT_CHANNELS)" in against
    assert any(one.startswith("default_channels also hold https://mirrors.bfsu") for one in against)
    assert any(one.startswith("conda-forge is asked of anaconda.org") for one in against)
    assert any(one.startswith("bioconda is asked of https://mirrors.bfsu") for one in against)
    assert any("channel_alias sends every other channel" in one for one in against)
    assert list(fix.verify(wanted, None)) == []


@pytest.fixture(scope="module")
def conda() -> Iterator[RealConda | None]:
    found = real_conda()
    yield found
    if found:
        found.close()


@given(homes, st.sampled_from(OPTIONS), st.sampled_from((("/pkgs/r",), ("/none",))))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_made_up_homes(
    conda: RealConda | None, tmp_path_factory: pytest.TempPathFactory, home: dict[str, bytes],
    options: dict[str, Any], gone: tuple[str, ...],
) -> None:  # fmt: skip
    """Effective values right by conda's rules (and by conda, where there is one), idle when run again, undone."""
    folder = tmp_path_factory.mktemp("home")
    switch_and_back(folder, home, options, gone, conda)
    assert not any((folder / "state").glob("*.tmp"))


def channels(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
    """A mirror that has lost pkgs/r, and packs the list of its community channels."""
    there = handler.path.endswith("/repodata.json") and "/pkgs/main/" in handler.path
    there = there or (handler.path.endswith("/repodata.json.zst") and "/cloud/conda-forge/" in handler.path)
    return (200 if there else 404), {"Content-Type": "application/json"}, b"{}"


def envdoctor(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "envdoctor", "fix", *arguments, "--python", sys.executable]
    return subprocess.run(argv, env=environ, cwd=home, capture_output=True, text=True)


def test_from_the_command_line_with_a_mirror_that_answers(tmp_path: Path) -> None:
    rc = tmp_path / ".condarc"
    rc.write_bytes(b"# mine\r\nchannels:\r\n  - defaults\r\n  - bioconda")
    with serving(channels) as port:
        done = envdoctor(tmp_path, "conda-mirror", "--url", f"http://127.0.0.1:{port}/anaconda", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    told = rc.read_bytes().decode()
    assert told.startswith("# mine\r\nchannels:\r\n  - defaults\r\n  - bioconda\r\n")
    assert f"  - http://127.0.0.1:{port}/anaconda/pkgs/main\r\n" in told and "pkgs/r" not in told
    assert f"  conda-forge: http://127.0.0.1:{port}/anaconda/cloud" in told and "bioconda:" not in told
    assert "pkgs/r (HTTP 404)" in done.stdout and "checked again: it is in effect" in done.stdout
    again = envdoctor(tmp_path, "conda-mirror", "--official", "--offline", "--yes")
    assert again.returncode == 0 and rc.read_bytes() == b"# mine\r\nchannels:\r\n  - defaults\r\n  - bioconda\r\n"
    assert envdoctor(tmp_path, "conda-mirror", "--official", "--offline").stdout.rstrip().endswith("it is so already")
