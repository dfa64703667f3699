"""checks/wheels_mirror.py and knowledge/wheel_mirrors.py: who needs a mirror of the wheels, and what pip then takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from envdoctor.errors import UsageError
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.index import AskedPlaces, IndexProbe
from envdoctor.facts.pip import PipConfig, PipEffective, PipOptions
from envdoctor.knowledge import torch_builds, wheel_mirrors
from envdoctor.knowledge.verdict import Machine
from envdoctor.model import Missing
from envdoctor.remedy import Files, Plan
from envdoctor.testing import topic_file
from tests import CHECKS
from tests.checks.pip_configs import PLACES, written
from tests.checks.torch_machines import LINUX, driver, gpus, python
from tests.patient.made_wheels import wheel

FIX = topic_file(CHECKS / "wheels_mirror.py").fixes[0]
USER = PLACES["user"][1]
NEWEST = torch_builds.releases()[0]
NJU, SJTUG, ALIYUN = (
    "https://mirror.nju.edu.cn/pytorch/whl/{}",
    "https://mirror.sjtu.edu.cn/pytorch-wheels/{}",
    "https://mirrors.aliyun.com/pytorch-wheels/{}/",
)
H100 = gpus("NVIDIA H100")
OLD = driver("535.104.05", "12.2")
NEW = driver("590.44.01", "13.1")


def plan(
    user: str = "", card: Gpus | None = H100, nvidia: Any = OLD, host: Host = LINUX,
    asked: AskedPlaces | None = None, config: PipConfig | None = None, **options: Any,
) -> Plan:  # fmt: skip
    config = config or written(user=user)
    files = Files({USER: user.encode()} if user else {})
    made = FIX(config, PipEffective("pip"), host, python(), nvidia, card, None, files, asked, **options)
    assert isinstance(made, Plan)
    return made


def after(made: Plan) -> str:
    assert len(made.edits) == 1
    return (made.edits[0].after or b"").decode()


def told(made: Plan, level: str = "") -> str:
    return "\n".join(remark.said.say("en") for remark in made.remarks if level in ("", remark.level))


def test_an_old_driver_gets_the_newest_build_that_it_serves() -> None:
    made = plan(nju=True)
    assert after(made) == f"[global]\nextra-index-url = {NJU.format('cu126')}\n"
    assert made.title.say("en") == "Take PyTorch's cu126 wheels from mirror.nju.edu.cn"
    assert made.wants == {"option": "extra-index-url", "url": NJU.format("cu126")}
    assert "pip may take any package from mirror.nju.edu.cn" in told(made, "warning")
    assert "+cu126` settles it" in told(made)


def test_a_page_of_links_is_no_index() -> None:
    assert after(plan(aliyun=True)) == f"[global]\nfind-links = {ALIYUN.format('cu126')}\n"
    made = plan(sjtug=True)
    assert after(made) == f"[global]\nfind-links = {SJTUG.format('cu126')}\n"
    assert "can be slow or hang" in told(made) and "may take any package" not in told(made)


def test_where_the_default_wheel_fits_nothing_is_written() -> None:
    made = plan(nju=True, nvidia=NEW)
    assert not made.changes and not made.by_hand
    assert "pip-mirror is enough" in told(made)
    made = plan(nju=True, card=None, nvidia=None)
    assert not made.changes
    assert "no NVIDIA GPU is seen here" in told(made)
    assert list(against(made, PipEffective("pip"))) == []


def test_windows_has_cpu_wheels_on_the_default_index() -> None:
    assert "extra-index-url" in after(plan(nju=True, nvidia=NEW, host=Host(system="windows", machine="AMD64")))


def test_where_nothing_fits_no_mirror_helps() -> None:
    with pytest.raises(UsageError, match="no build of PyTorch's fits"):
        plan(nju=True, nvidia=driver("390.48", "9.1"))


def test_a_build_of_ones_own_choice() -> None:
    made = plan(nju=True, build="cpu", card=None)
    assert NJU.format("cpu") in after(made)
    assert f"torch=={NEWEST.version}+cpu" in told(made)
    assert "torch==2.6.0+cu124" in told(plan(nju=True, build="cu124"))
    assert "torch==VERSION+cu999" in told(plan(nju=True, build="cu999"))
    with pytest.raises(UsageError, match="is no build"):
        plan(nju=True, build="12.6")


def test_lists_keep_their_other_words_and_lose_other_wheels_of_pytorch() -> None:
    text = (
        "[global]\n# ours\nextra-index-url = https://nexus.corp.example/simple\n"
        "    https://download.pytorch.org/whl/cu118\nfind-links = /srv/wheels https://mirrors.aliyun.com/pytorch-wheels/cu121/\n"
    )
    made = plan(text, nju=True)
    assert after(made) == (
        f"[global]\n# ours\nextra-index-url = https://nexus.corp.example/simple {NJU.format('cu126')}\n"
        "find-links = /srv/wheels\n"
    )
    assert not plan(after(made), nju=True).changes


def test_official_takes_mirrors_away_and_leaves_pytorchs_own_index() -> None:
    official = torch_builds.index_url("cu126")
    text = f"[global]\nextra-index-url = {official} {NJU.format('cu126')}\nfind-links = {SJTUG.format('cu126')}\n"
    assert after(plan(text, official=True)) == f"[global]\nextra-index-url = {official}\n"
    assert not plan(official=True).changes


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("https://nexus.corp.example/whl", "extra-index-url = https://nexus.corp.example/whl/cu126"),
        ("https://nexus.corp.example/whl/cu118/", "extra-index-url = https://nexus.corp.example/whl/cu126"),
        ("https://mirrors.aliyun.com/pytorch-wheels/", "find-links = https://mirrors.aliyun.com/pytorch-wheels/cu126/"),
    ],
)
def test_an_address_of_ones_own(url: str, line: str) -> None:
    assert after(plan(url=url)) == f"[global]\n{line}\n"


@pytest.mark.parametrize(
    "options",
    [{}, {"nju": True, "official": True}, {"url": "nexus/whl"}, {"url": "https://x/{tag}"}, {"url": "https://x:y/"},
     {"url": "https://mirrors.tuna.tsinghua.edu.cn/pytorch-wheels/cu126"},
     {"url": "https://mirror.sjtu.edu.cn/pytorch-wheels/whl/cu126"}],
)  # fmt: skip
def test_what_names_no_mirror(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        plan(**options)


def test_plain_http_and_a_dead_mirror_are_told() -> None:
    probe = IndexProbe(url="http://m.example/whl/cu126", outcome="refused", detail="Connection refused")
    made = plan(url="http://m.example/whl", asked=AskedPlaces((probe,)))
    assert "plain HTTP" in told(made, "warning") and "cannot be reached now" in told(made, "warning")


def test_without_pip_uv_gets_its_own_commands() -> None:
    made = plan(nju=True, config=written(more={"pip_version": ""}))
    assert [step.command.partition(" torch")[0] for step in made.by_hand] == [
        f"uv add --index pytorch-cu126={NJU.format('cu126')}",
        f"uv pip install --python /opt/envs/train/bin/python --index {NJU.format('cu126')}",
    ]
    assert not made.edits


def test_a_configuration_pip_cannot_read_is_left_alone() -> None:
    with pytest.raises(UsageError, match="cannot read"):
        plan("index-url\n[global\n  = x\n", nju=True)
    nowhere = written(more={"config_file_variable": "/dev/null", "files": []})
    with pytest.raises(UsageError, match="no safe edit is known"):
        plan(config=nowhere, nju=True)


def test_an_index_is_asked_before_and_a_page_of_links_is_not() -> None:
    assert FIX.asks is not None
    machine = (LINUX, python(), OLD, gpus("NVIDIA H100"), None)
    assert [place.url for place in FIX.asks(*machine, nju=True)] == [NJU.format("cu126")]
    assert not list(FIX.asks(*machine, sjtug=True)) and not list(FIX.asks(*machine, official=True))


def against(made: Plan, effective: PipEffective | Missing, config: PipConfig | None = None) -> list[str]:
    assert FIX.verify is not None
    return [one.say("en") for one in FIX.verify(made, config or written(), effective)]


def test_pips_own_word_decides() -> None:
    made, url = plan(nju=True), NJU.format("cu126")
    taken = PipEffective("pip", commands=(PipOptions("install", extra_index_urls=(url + "/",)),))
    assert against(made, taken) == []
    other = PipEffective("pip", commands=(PipOptions("install"), PipOptions("wheel")))
    config = written(variables={"PIP_EXTRA_INDEX_URL": "https://x.example"})
    assert against(made, other, config) == [f"PIP_EXTRA_INDEX_URL wins: `pip install` does not look at {url}"]
    assert against(made, Missing("pip-effective", "failed", "no pip")) == ["this Python's pip did not answer: no pip"]
    assert against(made, PipEffective(error="bad")) == ["this Python's pip did not answer: bad"]
    assert against(plan(official=True), taken) == [f"`pip install` still looks at {url}/"]
    assert against(plan(official=True), other) == []


@pytest.mark.parametrize(
    ("url", "owner"),
    [
        ("https://download.pytorch.org/whl/cu126", "pytorch"),
        ("https://download.pytorch.org/whl/", "pytorch"),
        ("https://mirror.nju.edu.cn/pytorch/whl/cpu/", "nju"),
        ("https://mirror.sjtu.edu.cn/pytorch-wheels/cu118", "sjtug"),
        ("https://mirrors.aliyun.com/pytorch-wheels/cu118/", "aliyun"),
        ("https://mirrors.aliyun.com/pypi/simple", ""),
        ("https://mirror.nju.edu.cn/pytorch/whl/cpu/torch/", ""),
        ("/srv/wheels", ""),
    ],
)
def test_whose_wheels_an_address_lists(url: str, owner: str) -> None:
    assert wheel_mirrors.owner(url) == owner


def test_the_default_torch() -> None:
    there = Machine(python=(3, 11), driver="590.44.01", cuda_level="13.1", capabilities=("9.0",))
    found = wheel_mirrors.default_torch(there)
    assert found is not None and found.fits and found.tag
    # pip passes over releases without a wheel for the Python and takes an older one.
    older = wheel_mirrors.default_torch(Machine(python=(3, 9), driver="535.104.05", cuda_level="12.2"))
    assert older is not None and older.fits and older.version != NEWEST.version
    assert wheel_mirrors.default_torch(Machine(python=(2, 7))) is None
    assert wheel_mirrors.named("tuna") is None


class Shelf:
    """Folders that pip takes for an index and for a page of links, with wheels of a made-up torch."""

    def __init__(self, top: Path, *versions: str) -> None:
        self.wheels = [wheel(top / "torch", "torch", version, {}) for version in versions]
        links = "".join(f'<a href="{path.name.replace("+", "%2B")}">{path.name}</a>\n' for path in self.wheels)
        (top / "torch/index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
        self.index, self.page = top.as_uri(), (top / "torch/index.html").as_uri()


def pip_takes(home: Path, wanted: str, settings: str) -> str:
    """The torch that the real pip would install under this configuration."""
    (home / "pip.conf").write_text(f"[global]\n{settings}")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet",
         "--disable-pip-version-check", "--target", str(home / "there"), "--report", "-", wanted],
        env={**environ, "PIP_CONFIG_FILE": str(home / "pip.conf"), "HOME": str(home)},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    version: str = json.loads(ran.stdout)["install"][0]["metadata"]["version"]
    return version


def test_what_the_plan_says_of_pips_choice_is_so(tmp_path: Path) -> None:
    index = Shelf(tmp_path / "index", "2.9.0", "2.10.0")
    mirror = Shelf(tmp_path / "mirror", "2.9.0+cu126", "2.10.0+cu126")
    behind = Shelf(tmp_path / "behind", "2.9.0+cu126")
    for settings in (f"extra-index-url = {mirror.index}\n", f"find-links = {mirror.page}\n"):
        assert pip_takes(tmp_path, "torch", f"index-url = {index.index}\n{settings}") == "2.10.0+cu126"
    for settings in (f"extra-index-url = {behind.index}\n", f"find-links = {behind.page}\n"):
        assert pip_takes(tmp_path, "torch", f"index-url = {index.index}\n{settings}") == "2.10.0"
        assert pip_takes(tmp_path, "torch==2.9.0+cu126", f"index-url = {index.index}\n{settings}") == "2.9.0+cu126"
