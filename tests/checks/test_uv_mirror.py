"""checks/uv_mirror.py: plans from facts, and the real uv, which must ask where it was sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from envdoctor.edits.uv import settings as settings_of
from envdoctor.errors import UsageError
from envdoctor.facts.index import AskedPlaces, IndexProbe
from envdoctor.facts.mirror_speeds import MirrorSpeed, MirrorSpeeds
from envdoctor.facts.pip import PipEffective
from envdoctor.facts.uv import UvAnswer, UvConfig, UvEffective, UvFile, UvIndex, UvLock
from envdoctor.model import Missing
from envdoctor.remedy import Files, Plan
from tests import needs
from tests.edits.uv_configs import ALIYUN, CORP, FIX, OFFICIAL, PYTORCH, TUNA, Machine, assert_holds, machines
from tests.patient.index_servers import serving
from tests.unreadable import Unreadable

USER, PROJECT = "/home/ada/.config/uv/uv.toml", "/home/ada/train/pyproject.toml"
PIP = PipEffective(default_index=OFFICIAL)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(machines())
def test_whatever_is_configured_uv_takes_what_was_asked_for(machine: Machine) -> None:
    assert assert_holds(machine, needs.uv())


def plan(
    contents: dict[str, str] | None = None, uv: UvConfig | None = None, said: UvEffective | None = None,
    asked: AskedPlaces | None = None, speeds: MirrorSpeeds | None = None, **options: Any,
) -> Plan:  # fmt: skip
    contents = contents or {}
    level = {USER: "user", PROJECT: "project"}
    files = tuple(UvFile(path, level.get(path, "chosen")) for path in (PROJECT, *contents) if path in contents)
    config = uv or UvConfig("/usr/bin/uv", tuple(dict.fromkeys(files)), user_file=USER)
    there = Files({path: text.encode() for path, text in contents.items()})
    made = FIX(config, said, PIP, there, asked, speeds, **options)
    assert isinstance(made, Plan)
    return made


def after(made: Plan) -> dict[str, str]:
    return {edit.path: (edit.after or b"").decode() for edit in made.edits}


def told(made: Plan) -> str:
    return "\n".join(remark.said.say("en") for remark in made.remarks)


def test_a_first_setting() -> None:
    made = plan(tuna=True)
    assert after(made) == {USER: f'[[index]]\nurl = "{TUNA}"\ndefault = true\n'}
    assert made.title.say("en") == "Use the TUNA mirror for uv"
    assert made.title.say("zh") == "让 uv 使用清华大学 TUNA 镜像"
    assert not made.remarks


def test_indexes_of_pytorch_and_of_a_company_stay() -> None:
    text = (
        f'[[index]]\nname = "pytorch"\nurl = "{PYTORCH}"\nexplicit = true\n\n'
        f'[[index]]\nname = "corp"\nurl = "{CORP}"\n'
    )  # fmt: skip
    made = plan({USER: text}, tuna=True)
    assert after(made) == {USER: text + f'\n[[index]]\nurl = "{TUNA}"\ndefault = true\n'}


def test_a_named_default_of_a_company_stays_unless_its_replacement_is_asked_for() -> None:
    text = f'[[index]]\nname = "corp"\nurl = "{CORP}" # ours\ndefault = true\n'
    made = plan({USER: text}, tuna=True)
    assert not made.changes
    assert "may have packages of its own: it stays as it is" in told(made)
    made = plan({USER: text}, tuna=True, replace=True)
    assert after(made) == {USER: text.replace(CORP, TUNA)}
    assert "is no known mirror" in told(made)


def test_an_explicit_default_always_stays() -> None:
    text = f'[[index]]\nname = "tuna"\nurl = "{TUNA}"\ndefault = true\nexplicit = true\n'
    made = plan({USER: text}, aliyun=True, replace=True)
    assert not made.changes
    assert "`explicit`" in told(made)


def test_a_project_that_wins_is_changed_in_the_same_plan() -> None:
    project = f'[project]\nname = "x"\n[[tool.uv.index]]\nurl = "{ALIYUN}"\ndefault = true\n'
    made = plan({PROJECT: project}, tuna=True)
    assert after(made)[PROJECT] == project.replace(ALIYUN, TUNA)
    assert TUNA in after(made)[USER]
    assert "for everyone who uses the project" in told(made)
    project = project.replace(ALIYUN, CORP)
    made = plan({PROJECT: project}, tuna=True)
    assert list(after(made)) == [USER]
    assert "stays as it is" in told(made)


def test_an_index_url_of_the_project_is_beaten_without_touching_it() -> None:
    made = plan({PROJECT: f'[tool.uv]\nindex-url = "{ALIYUN}"\n'}, tuna=True)
    assert list(after(made)) == [USER]


def test_official_takes_the_setting_away() -> None:
    text = f"# mine\nindex-url = '{TUNA}'\n\n[[index]]\nurl = '{ALIYUN}'\ndefault = true\n"
    made = plan({USER: text}, official=True)
    assert after(made) == {USER: "# mine\n"}
    assert made.wants == {"url": "", "official": OFFICIAL}
    assert not plan(official=True).changes


def test_official_against_a_file_of_the_system() -> None:
    config = UvConfig("/usr/bin/uv", (UvFile("/etc/uv/uv.toml", "system"),), user_file=USER)
    files = Files({"/etc/uv/uv.toml": f"[[index]]\nurl = '{TUNA}'\ndefault = true\n".encode()})
    made = FIX(config, None, PIP, files, None, None, official=True)
    assert after(made) == {USER: f'[[index]]\nurl = "{OFFICIAL}"\ndefault = true\n'}
    assert not FIX(config, None, None, files, None, None, official=True).changes


def test_an_index_that_sources_name_is_not_taken_away() -> None:
    project = (
        f'[[tool.uv.index]]\nname = "tuna"\nurl = "{TUNA}"\ndefault = true\n'
        '[tool.uv.sources]\nnumpy = [{ index = "tuna" }, { git = "x" }]\ntorch = { path = "." }\n'
    )
    made = plan({PROJECT: project}, official=True)
    assert not made.changes
    assert "[tool.uv.sources]" in told(made)
    assert after(plan({PROJECT: project}, aliyun=True))[PROJECT] == project.replace(TUNA, ALIYUN)


def test_a_uv_that_knows_no_index_tables_gets_an_index_url() -> None:
    made = plan({USER: "[pip]\nannotation-style = 'line'\n"}, said=UvEffective("0.4.22"), tuna=True)
    assert after(made) == {USER: f"index-url = \"{TUNA}\"\n\n[pip]\nannotation-style = 'line'\n"}


def test_a_chosen_file_is_changed_as_well() -> None:
    made = plan({"/srv/uv.toml": ""}, tuna=True)
    assert set(after(made)) == {USER, "/srv/uv.toml"}
    assert "UV_CONFIG_FILE" in told(made)


def test_an_index_hidden_by_a_variable_of_its_name_is_joined_by_one_without_a_name() -> None:
    text = f'[[index]]\nname = "corp"\nurl = "{TUNA}"\ndefault = true\n'
    hiding = UvIndex("UV_INDEX", CORP, "corp", level="env-var", variable="UV_INDEX")
    config = UvConfig("/usr/bin/uv", (UvFile(USER, "user"),), indexes=(hiding,), user_file=USER)
    assert after(plan({USER: text}, uv=config, tuna=True)) == {
        USER: text + f'\n[[index]]\nurl = "{TUNA}"\ndefault = true\n'
    }


@pytest.mark.parametrize(("user", "command"), [(USER, "unset {}"), ("C:\\u\\uv.toml", "$env:{}=''")])
def test_variables_are_for_the_user_to_unset(user: str, command: str) -> None:
    variable = UvIndex("UV_DEFAULT_INDEX", CORP, level="env-var", variable="UV_DEFAULT_INDEX", default=True)
    made = plan(uv=UvConfig("/usr/bin/uv", indexes=(variable,), user_file=user, no_config=True), tuna=True)
    assert [step.command for step in made.by_hand] == [
        command.format("UV_NO_CONFIG"),
        command.format("UV_DEFAULT_INDEX"),
    ]
    assert made.edits


def test_the_lock_file_is_spoken_of_before() -> None:
    config = UvConfig("/usr/bin/uv", lock=UvLock("/p/uv.lock", ("mirrors.aliyun.com",)), user_file=USER)
    assert "writes pypi.tuna.tsinghua.edu.cn into /p/uv.lock" in told(plan(uv=config, tuna=True))
    assert "keeps naming mirrors.aliyun.com" in told(plan(uv=config, official=True))
    assert not plan(uv=replace(config, lock=UvLock("/p/uv.lock", ("nexus.example",))), official=True).remarks


def test_what_else_is_to_be_known() -> None:
    extra = UvIndex("index", CORP, "corp", USER, 1, "user")
    config = UvConfig("/usr/bin/uv", indexes=(extra,), user_file=USER)
    asked = AskedPlaces((IndexProbe(url="http://m.example/simple", outcome="timeout", detail="timed out"),))
    made = plan(uv=config, asked=asked, url="http://m.example/simple")
    assert "plain HTTP" in told(made) and "cannot be reached now" in told(made)
    assert "other index settings stay as they are: corp" in told(made)
    assert plan(url="https://me:pw@m.example/simple").edits[0].mode == 0o600


def test_the_fastest_is_taken() -> None:
    made = plan(speeds=MirrorSpeeds(best=MirrorSpeed("aliyun", ALIYUN, 1.0), asked=8), fastest=True)
    assert ALIYUN in after(made)[USER]


@pytest.mark.parametrize("options", [{}, {"tuna": True, "official": True}, {"url": "ftp://x"}, {"fastest": True}])
def test_options_that_name_no_index(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        plan(**options)


def test_a_file_that_cannot_be_edited() -> None:
    with pytest.raises(UsageError, match="is not valid TOML"):
        plan({USER: "[[index"}, tuna=True)
    with pytest.raises(UsageError, match="cannot be read"):
        FIX(UvConfig(user_file=USER), None, PIP, Unreadable(), None, None, tuna=True)
    twice = UvConfig("/usr/bin/uv", (UvFile(USER, "user"),), user_file=USER)
    files = Files({USER: b"index = 1\n"})
    with pytest.raises(UsageError, match="cannot be edited"):
        FIX(twice, None, PIP, files, None, None, tuna=True)


def test_the_place_is_asked_before() -> None:
    assert FIX.asks is not None
    assert [place.url for place in FIX.asks(PIP, tuna=True)] == [TUNA]
    assert not list(FIX.asks(None, official=True)) and not list(FIX.asks(PIP, fastest=True))


def against(uv: UvConfig | Missing, said: UvEffective | None, **wants: str) -> list[str]:
    assert FIX.verify is not None
    made = plan(tuna=True)
    return [
        one.say("en")
        for one in FIX.verify(Plan(made.title, wants={"url": TUNA, "official": OFFICIAL, **wants}), uv, said)
    ]


def answers(project: str, pip: str) -> UvEffective:
    return UvEffective("0.13.9", (UvAnswer("project", project), UvAnswer("pip", pip)))


def test_uvs_own_word_decides() -> None:
    here = UvConfig(indexes=(UvIndex("index", TUNA, path=USER, line=2, default=True),))
    assert against(here, None) == against(here, answers(TUNA, TUNA)) == []
    assert against(here, answers(ALIYUN, TUNA)) == [f"`uv lock` takes {ALIYUN} (uv)"]
    assert against(here, answers(TUNA, "")) == ["`uv pip` takes its own default index"]
    assert against(Missing("uv-config", "not-here"), None) == ["uv takes its own default index"]
    assert against(here, None, url="") == [f"uv takes {TUNA} ({USER}:2)"]
    assert against(here, answers("", OFFICIAL), url="") == []
    assert against(here, UvEffective("0.13.9", error="error: no")) == ["uv refuses its configuration: error: no"]


class Site:
    """An index that has nothing and remembers who asked."""

    def __init__(self, port: int, log: list[str]) -> None:
        self.url, self.log = f"http://127.0.0.1:{port}/simple", log


@contextmanager
def site() -> Iterator[Site]:
    log: list[str] = []

    def answer(handler: Any) -> tuple[int, dict[str, str], bytes]:
        log.append(handler.path)
        return 404, {}, b""

    with serving(answer) as port:
        yield Site(port, log)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".config/uv").mkdir(parents=True)
    (tmp_path / "train").mkdir()
    (tmp_path / "train/pyproject.toml").write_text(
        '[project]\nname = "train"\nversion = "1"\nrequires-python = ">=3.8"\ndependencies = ["wanted"]\n'
    )
    return tmp_path


def environ(home: Path, **more: str) -> dict[str, str]:
    path = os.pathsep.join([str(Path(needs.uv()).parent), "/usr/bin", "/bin"])
    return {"HOME": str(home), "PATH": path, "XDG_CONFIG_DIRS": str(home / "xdg"), "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never", "PYTHONPATH": os.pathsep.join(sys.path), **more}  # fmt: skip


def uv_asks(home: Path, *sites: Site, **more: str) -> list[list[str]]:
    """What `uv lock` and `uv pip compile` ask of each site."""
    for one in sites:
        one.log.clear()
    found = []
    for command in (["lock"], ["pip", "compile", "-q", "pyproject.toml"]):
        subprocess.run([needs.uv(), *command, "--no-cache"], cwd=home / "train", env=environ(home, **more),
                       capture_output=True, check=False, timeout=60)  # fmt: skip
        found.append(["/simple/wanted/" in one.log for one in sites])
        for one in sites:
            one.log.clear()
    return [["asked" if hit else "not" for hit in row] for row in found]


def doctor(home: Path, *arguments: str, **more: str) -> tuple[int, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "envdoctor", "fix", *arguments, "--json"], cwd=home / "train",
        env=environ(home, **more), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


LAYOUTS = {
    "user file": {},
    "user file with [pip]": {".config/uv/uv.toml": "# mine\n[pip]\nindex-url = '{old}' # pip\n"},
    "user file with index-url": {".config/uv/uv.toml": "index-url = '{old}'\n[pip]\nindex-url = '{old}'\n"},
    "project's uv.toml": {"train/uv.toml": "[[index]]\r\nurl = '{old}'\r\ndefault = true\r\n"},
    "pyproject.toml": {"train/pyproject.toml": "[[tool.uv.index]]\nurl = '{old}'\ndefault = true # ours\n"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_real_uv_asks_where_it_was_sent_and_goes_back(home: Path, layout: str) -> None:
    with ExitStack() as stack:
        old, new = stack.enter_context(site()), stack.enter_context(site())
        for path, text in LAYOUTS[layout].items():
            there = home / path
            start = there.read_text() if there.exists() else ""
            there.write_bytes((start + text.replace("{old}", old.url)).encode())
        before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
        project = layout in ("project's uv.toml", "pyproject.toml")
        if project:
            assert uv_asks(home, old, new) == [["asked", "not"]] * 2
        more = ("--replace",) if project else ()
        status, document = doctor(home, "uv-mirror", "--url", new.url, "--yes", *more)
        assert (status, document["state"]) == (0, "applied"), document
        assert uv_asks(home, old, new) == [["not", "asked"]] * 2
        status, document = doctor(home, "uv-mirror", "--url", new.url, "--yes", *more)
        assert (status, document["state"]) == (0, "nothing-to-do"), document
        status, document = doctor(home, "--undo", "--yes")
        assert status == 0, document
        assert before == {
            path: path.read_bytes() for path in home.rglob("*") if path.is_file() and ".local" not in path.parts
        }


def test_against_a_variable_the_file_is_written_and_no_success_is_claimed(home: Path) -> None:
    with site() as old, site() as new:
        status, document = doctor(home, "uv-mirror", "--url", new.url, "--yes", UV_DEFAULT_INDEX=old.url)
        assert (status, document["state"]) == (1, "not-effective"), document
        assert uv_asks(home, old, new, UV_DEFAULT_INDEX=old.url) == [["asked", "not"]] * 2
        assert uv_asks(home, old, new) == [["not", "asked"]] * 2
        status, document = doctor(home, "uv-mirror", "--url", new.url, "--yes")
        assert (status, document["state"]) == (0, "nothing-to-do"), document


def test_windows_paths_are_told_apart() -> None:
    from envdoctor.edits.toml import Document

    document = Document(b'[tool.uv]\nindex-url = "u"\n')
    assert settings_of(document, "C:\\train\\pyproject.toml", "project")[0].index.url == "u"
    assert settings_of(document, "C:\\train\\uv.toml", "project") == ()
