"""checks/pip_mirror.py: plans from facts by hand, and what the real pip makes of 200 made-up sets of files."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from envdoctor import load
from envdoctor.errors import UsageError
from envdoctor.facts.index import AskedPlaces, IndexProbe
from envdoctor.facts.mirror_speeds import MirrorSpeed, MirrorSpeeds
from envdoctor.facts.pip import PipConfig, PipEffective, PipOptions
from envdoctor.knowledge import mirrors
from envdoctor.model import Missing
from envdoctor.remedy import Files, Fix, Plan
from tests import CHECKS
from tests.bench.pip_configs import Bench, made, pips
from tests.checks.pip_configs import PLACES, index, written

TUNA = "https://pypi.tuna.tsinghua.edu.cn/simple"
ALIYUN = "https://mirrors.aliyun.com/pypi/simple"
OFFICIAL = "https://official.example/simple"
USER, LEGACY, SITE = (PLACES[name][1] for name in ("user", "legacy", "site"))
PIP = PipEffective(source="pip", version="26.3", default_index=OFFICIAL)


def the_fix() -> Fix:
    fix = load.load([CHECKS]).fixes["pip-mirror"]
    assert isinstance(fix, Fix)
    return fix


FIX = the_fix()


def planned(
    texts: dict[str, str], *, locked: tuple[str, ...] = ("xdg", "etc"), variables: dict[str, str] | None = None,
    probe: IndexProbe | None = None, speeds: MirrorSpeeds | None = None, more: dict[str, Any] | None = None,
    effective: PipEffective | Missing = PIP, **options: Any,
) -> Plan:  # fmt: skip
    files = Files({PLACES[name][1]: text.encode() for name, text in texts.items()}, (PLACES[n][1] for n in locked))
    config = written(**texts, variables=variables, more={"user_file": USER, **(more or {})})  # type: ignore[arg-type]
    return FIX(config, effective, files, AskedPlaces((probe,)) if probe else None, speeds, **options)


def test_the_real_pips_agree_on_made_up_sets(tmp_path: Path) -> None:
    """The figure is of 10,000: python -m tests.bench.pip_configs."""
    kinds: Counter[str] = Counter()
    known = pips()
    try:
        benches = [Bench(pip, tmp_path / version) for version, pip in known.items()]
        for number in range(200):
            kinds[benches[number % len(benches)].run(made(random.Random(f"ci-{number}")))] += 1
    finally:
        for pip in known.values():
            pip.close()
    assert sum(kinds.values()) == 200
    assert kinds["in effect"] > 100 and kinds["a variable wins"] > 5 and kinds["in effect, by hand"] > 5


def after(plan: Plan) -> dict[str, str]:
    return {edit.path: (edit.after or b"").decode() for edit in plan.edits}


def remarks(plan: Plan, level: str = "") -> str:
    for remark in plan.remarks:
        assert remark.said.say("zh")
    return "\n".join(remark.said.say("en") for remark in plan.remarks if level in ("", remark.level))


def test_the_old_recipe_is_replaced() -> None:
    plan = planned(
        {"user": index("http://mirrors.aliyun.com/pypi/simple/", "trusted-host = mirrors.aliyun.com")}, tuna=True
    )
    assert after(plan) == {USER: f"[global]\nindex-url = {TUNA}"}
    assert "trusted-host no longer names mirrors.aliyun.com" in remarks(plan)
    assert plan.title.say("en") == "Use the TUNA mirror for pip"
    assert plan.title.say("zh") == "让 pip 使用清华大学 TUNA 镜像"


def test_the_title_says_how_the_mirror_answered() -> None:
    probe = IndexProbe(url=TUNA, outcome="answered", status=200, page="index", newest="2.7.1", connect_s=0.03,
                       first_byte_s=0.008)  # fmt: skip
    plan = planned({}, tuna=True, probe=probe)
    assert plan.title.say("en") == "Use the TUNA mirror for pip (reached in 38 ms, has torch 2.7.1)"
    assert plan.title.say("zh") == "让 pip 使用清华大学 TUNA 镜像（38 毫秒内应答，有 torch 2.7.1）"
    assert after(plan) == {USER: f"[global]\nindex-url = {TUNA}\n"}


@pytest.mark.parametrize(
    ("texts", "locked", "expected"),
    [
        # Every place that wins for some command is edited; what loses everywhere is left alone.
        (
            {"user": f"[global]\nindex-url = {ALIYUN}\n[install]\nindex-url: https://b.example/simple\n"},
            (),
            {USER: f"[global]\nindex-url = {TUNA}\n[install]\nindex-url: {TUNA}\n"},
        ),
        ({"user": index(ALIYUN), "site": "[global]\npypi-url=https://v.example/simple"}, (),
         {SITE: f"[global]\npypi-url={TUNA}"}),
        ({"legacy": "[global]\r\nINDEX_URL = x\r\ntimeout = 9\r\n", "user": "[global]\ntimeout = 5\n"}, (),
         {LEGACY: f"[global]\r\nINDEX_URL = {TUNA}\r\ntimeout = 9\r\n"}),
        ({"legacy": "[global]\ntimeout = 9\n"}, (), {LEGACY: f"[global]\ntimeout = 9\nindex-url = {TUNA}\n"}),
        ({"user": "[DEFAULT]\nindex-url = x\n[install]\n"}, (),
         {USER: f"[DEFAULT]\nindex-url = {TUNA}\n[install]\n\n[global]\nindex-url = {TUNA}\n"}),
        # What this user may not write is overridden, in the section that wins.
        ({"etc": f"[install]\nindex-url = {ALIYUN}\n"}, ("etc",),
         {USER: f"[install]\nindex-url = {TUNA}\n\n[global]\nindex-url = {TUNA}\n"}),
        ({"etc": index(ALIYUN)}, ("etc",), {USER: f"[global]\nindex-url = {TUNA}\n"}),
        # root edits what it wins with.
        ({"etc": index(ALIYUN)}, (), {"/etc/pip.conf": f"[global]\nindex-url = {TUNA}"}),
        # Nothing but another's rights helps: the edit is there, for `sudo`.
        ({"site": index(ALIYUN)}, ("site",), {SITE: f"[global]\nindex-url = {TUNA}"}),
        ({"user": index(TUNA)}, (), {}),
        ({"user": index(TUNA + "/")}, (), {}),
    ],
)  # fmt: skip
def test_it_is_written_where_it_wins(texts: dict[str, str], locked: tuple[str, ...], expected: dict[str, str]) -> None:
    assert after(planned(texts, locked=locked, tuna=True)) == expected


def test_several_sections_of_an_unwritable_file_are_overridden_each() -> None:
    plan = planned({"etc": "[install]\nindex-url = a\n[list]\nindex-url = b\n"}, tuna=True)
    assert after(plan)[USER].count(TUNA) == 3


def test_a_setting_that_wins_over_the_user_file_is_replaced_by_a_remark() -> None:
    plan = planned({"user": index(ALIYUN)}, variables={"PIP_INDEX_URL": "https://old.example/simple"}, tuna=True)
    assert after(plan) == {USER: f"[global]\nindex-url = {TUNA}"}
    assert "`unset PIP_INDEX_URL`" in remarks(plan, "warning")


def test_extra_indexes_and_find_links_are_kept() -> None:
    text = index(ALIYUN, f"extra-index-url = {TUNA}", "    https://x.example/simple", "find-links = /opt/wheels")
    plan = planned({"user": text}, tuna=True)
    assert after(plan) == {USER: text.replace(ALIYUN, TUNA)}
    assert "names it as well" in remarks(plan)


def test_a_trusted_host_goes_only_when_nothing_needs_it() -> None:
    lines = ("trusted-host = a.example c.example", "extra-index-url = http://a.example/other")
    plan = planned({"user": index("http://a.example/simple", *lines)}, tuna=True)
    assert after(plan) == {USER: index(TUNA, *lines)}
    hidden = index(ALIYUN, "trusted-host =", "    pypi.tuna.tsinghua.edu.cn", "    c.example")
    assert after(planned({"user": hidden}, tuna=True)) == {
        USER: index(TUNA, "trusted-host =", "    c.example").replace(" =\n    c", " =\n    c")
    }


def test_an_authority_of_ones_own_keeps_its_trusted_host_until_it_verifies() -> None:
    url = "https://nexus.corp.example/simple"
    text = index(ALIYUN, "trusted-host = nexus.corp.example")
    unverified = IndexProbe(url=url, outcome="tls", detail="self-signed certificate")
    plan = planned({"user": text}, url=url, probe=unverified)
    assert after(plan) == {USER: index(url, "trusted-host = nexus.corp.example")}
    assert "turns off certificate checks" in remarks(plan, "warning")
    assert "does not verify (self-signed certificate)" in remarks(plan, "warning")
    verified = IndexProbe(url=url, outcome="answered", status=200, page="index")
    assert after(planned({"user": text}, url=url, probe=verified)) == {USER: index(url)}


def test_plain_http_is_trusted_and_said_to_be_plain() -> None:
    plan = planned({"user": index(ALIYUN, "trusted-host = b.example")}, url="http://10.0.0.5:8081/simple")
    assert after(plan) == {USER: index("http://10.0.0.5:8081/simple", "trusted-host = b.example 10.0.0.5:8081")}
    assert "plain HTTP" in remarks(plan, "warning")
    assert after(planned({}, url="http://127.0.0.1:3141/simple")) == {
        USER: "[global]\nindex-url = http://127.0.0.1:3141/simple\n"
    }
    unwritable = planned({"site": "[global]\ntrusted-host = b.example\n"}, locked=("site",), url="http://c.example/s")
    assert after(unwritable)[SITE] == "[global]\ntrusted-host = b.example c.example\n"


def test_official_takes_the_setting_away() -> None:
    text = f"[global]\n# mine\nindex-url = {ALIYUN}\ntimeout = 9\n[install]\nindex-url = {TUNA}\n"
    plan = planned({"user": text, "legacy": index(TUNA)}, official=True)
    assert after(plan) == {USER: "[global]\n# mine\ntimeout = 9\n[install]\n", LEGACY: "[global]"}
    assert planned({}, official=True).edits == ()


def test_official_beats_what_cannot_be_taken_away() -> None:
    plan = planned({"etc": index(ALIYUN)}, official=True)
    assert after(plan) == {USER: f"[global]\nindex-url = {OFFICIAL}\n"}
    with pytest.raises(UsageError, match="known from pip alone"):
        planned({"etc": index(ALIYUN)}, official=True, effective=Missing("pip-effective", "slow"))


def test_no_index_is_taken_out_of_the_way() -> None:
    plan = planned({"user": index(ALIYUN, "no-index = yes")}, tuna=True)
    assert after(plan) == {USER: index(TUNA)}
    assert "no-index at /home/ada/.config/pip/pip.conf:3" in remarks(plan, "warning")
    assert after(planned({"etc": "[global]\nno-index = 1"}, tuna=True)) == {
        USER: f"[global]\nindex-url = {TUNA}\nno-index = no\n"
    }
    assert "`unset PIP_NO_INDEX`" in remarks(planned({}, variables={"PIP_NO_INDEX": "1"}, tuna=True), "warning")


def test_what_pip_cannot_read_is_mended_in_the_same_plan() -> None:
    text = "\ufeff[global]\r\nindex-url = a\r\ntrusted-host = a.example\r\ntrusted-host = b.example\r\n"
    plan = planned({"user": text}, tuna=True)
    assert after(plan) == {USER: f"[global]\r\nindex-url = {TUNA}\r\ntrusted-host = a.example b.example\r\n"}
    assert "a byte order mark" in remarks(plan, "warning") and "an option written twice" in remarks(plan, "warning")
    refused = planned({"user": index(ALIYUN, "timeout = 3,5")}, tuna=True)
    assert after(refused) == {USER: index(TUNA, "# timeout = 3,5")}
    assert "`timeout = 3,5`" in remarks(refused, "warning")


def test_what_is_not_sure_is_left_to_the_user() -> None:
    files = Files({USER: b"[global]\ncert = /home/jos\xe9/ca.pem\n"})
    config = written(user="[global]\nx")  # its place; the bytes are what counts
    fault = {"path": USER, "level": "user", "exists": True, "fault": "not-decodable", "line": 2,
             "detail": "byte 0xe9 is not utf-8"}  # fmt: skip
    config = written(more={"files": [fault]})
    plan = FIX(config, PIP, files, None, None, tuna=True)
    assert not plan.edits
    assert plan.by_hand[0].command == f"${{EDITOR:-vi}} +2 {USER}"


def test_nothing_is_read_at_all() -> None:
    plan = planned({}, tuna=True, more={"config_file_variable": "/dev/null", "files": [], "values": []})
    assert after(plan) == {USER: f"[global]\nindex-url = {TUNA}\n"}
    assert "`unset PIP_CONFIG_FILE`" in remarks(plan, "warning")


def test_a_file_that_PIP_CONFIG_FILE_names_and_that_is_not_there_is_not_made() -> None:
    """It would keep pip from reading the user's own."""
    files = [{"path": USER, "level": "user"}, {"path": SITE, "level": "site"}, {"path": SITE, "level": "env"}]
    config = written(more={"files": files, "config_file_variable": SITE})
    plan = FIX(config, PIP, Files({}, locked=[USER]), None, None, tuna=True)
    assert [edit.path for edit in plan.edits] == [USER]


def test_one_file_under_two_names_is_edited_once() -> None:
    data = index(ALIYUN).encode()
    plan = FIX(written(user=index(ALIYUN), legacy=index(ALIYUN)), PIP, Files({USER: data}, links={LEGACY: USER}), None,
               None, tuna=True)  # fmt: skip
    assert len(plan.edits) == 1


def test_windows_has_its_own_line_ends() -> None:
    path = r"C:\Users\ada\AppData\Roaming\pip\pip.ini"
    config = written(more={"files": [{"path": path, "level": "user"}]})
    assert after(FIX(config, PIP, Files(), None, None, tuna=True)) == {
        path: f"[global]\r\nindex-url = {TUNA}\r\n"
    }  # fmt: skip


def test_an_index_of_ones_own_is_replaced_with_a_warning() -> None:
    plan = planned({"user": index("https://ada:s3cret@nexus.corp.example/simple")}, tuna=True)
    assert "nexus.corp.example is no known mirror" in remarks(plan, "warning")
    assert "s3cret" not in remarks(plan)
    assert "no known mirror" not in remarks(planned({"user": index(ALIYUN)}, tuna=True))


def test_credentials_make_a_private_file() -> None:
    url = "https://ada:s3cret@nexus.corp.example/simple"
    plan = planned({}, url=url)
    assert plan.edits[0].mode == 0o600 and "s3cret" not in plan.title.say("en") + remarks(plan)
    shared = written(user=index(ALIYUN), open_to_others=True)
    told = FIX(shared, PIP, Files({USER: index(ALIYUN).encode()}), None, None, url=url)
    assert "chmod 600" in remarks(told, "warning")


def test_a_command_to_paste_shows_no_credentials_and_keeps_them() -> None:
    secret = "extra-index-url = https://ada:s3cret@nexus.corp.example/simple\n"
    (edit,) = planned({"site": f"[global]\nindex-url = {ALIYUN}\n{secret}"}, locked=("site",), tuna=True).edits
    assert edit.by_hand == rf"sudo sed -i -e '1a\index-url = {TUNA}' -e 2d {SITE}"
    (edit,) = planned({"site": f"[global]\nindex-url = {ALIYUN}\n"}, locked=("site",), tuna=True).edits
    assert edit.by_hand == "", "the whole file is written, in place"


def test_without_pip_uv_is_told_instead() -> None:
    plan = planned({}, tuna=True, more={"pip_version": ""}, effective=Missing("pip-effective", "not-here"))
    assert not plan.edits and plan.by_hand[0].command == "envdoctor fix uv-mirror --tuna"
    plan = planned({}, url="https://a.example/simple", more={"pip_version": ""})
    assert plan.by_hand[0].command == "envdoctor fix uv-mirror --url https://a.example/simple"


def test_the_fastest_is_written_and_a_fast_one_is_kept() -> None:
    best = MirrorSpeed("ustc", "https://mirrors.ustc.edu.cn/pypi/simple", 40.0)
    plan = planned({"user": index(ALIYUN)}, fastest=True, speeds=MirrorSpeeds(best, None, False, 12))
    assert after(plan) == {USER: index(best.url)}
    assert plan.title.say("en") == "Use the USTC mirror for pip (the fastest of 12)"
    assert "redirect" not in plan.title.say("en") and "TUNA" in remarks(plan)
    now = MirrorSpeed("aliyun", ALIYUN, 42.0)
    kept = planned({"user": index(ALIYUN)}, fastest=True, speeds=MirrorSpeeds(best, now, True, 12))
    assert not kept.edits
    assert kept.title.say("en") == "mirrors.aliyun.com stays: the fastest of 12 indexes is hardly faster"
    alone = planned({"user": index(ALIYUN)}, fastest=True, speeds=MirrorSpeeds(now, now, True, 12))
    assert alone.title.say("en") == "mirrors.aliyun.com stays: none of 12 indexes is faster"
    official = MirrorSpeed("official", OFFICIAL, 5.0)
    back = planned({"user": index(ALIYUN)}, fastest=True, speeds=MirrorSpeeds(official, None, False, 12))
    assert after(back) == {USER: "[global]"}
    own = MirrorSpeed("nexus.corp.example", "https://nexus.corp.example/simple", 5.0)
    assert after(planned({}, fastest=True, speeds=MirrorSpeeds(own)))[USER].endswith(f"{own.url}\n")
    with pytest.raises(UsageError, match="bench mirrors"):
        planned({}, fastest=True, speeds=MirrorSpeeds())


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="say which index"):
        planned({})


def test_every_mirror_of_the_command_line_is_in_the_table() -> None:
    for name in mirrors.WITH_OPTION:
        chosen: dict[str, Any] = {name: True}
        (edit,) = planned({}, **chosen).edits
        assert edit.after is not None and b"https://" in edit.after
        assert FIX.options[name].help.zh


def test_what_is_asked_before_it_is_written() -> None:
    assert FIX.asks is not None
    assert [place.url for place in FIX.asks(PIP, tuna=True)] == [TUNA]
    assert [place.url for place in FIX.asks(PIP, official=True)] == [OFFICIAL]
    assert list(FIX.asks(Missing("pip-effective", "slow"), official=True)) == []
    assert list(FIX.asks(PIP, url="file:///srv/simple")) == []
    assert list(FIX.asks(PIP, fastest=True)) == []


def against(config: PipConfig, url: str, *commands: PipOptions, error: str = "") -> list[str]:
    assert FIX.verify is not None
    plan = planned({}, url=url)
    effective = PipEffective("pip", "26.3", error, OFFICIAL, commands=commands)
    reasons = list(FIX.verify(plan, config, effective))
    assert all(reason.say("zh") for reason in reasons)
    return [reason.say("en") for reason in reasons]


def test_what_stands_against_it_is_named_once() -> None:
    ok = PipOptions("install", TUNA + "/")
    assert against(written(user=index(TUNA)), TUNA, ok, PipOptions("list", TUNA)) == []
    variable = written(user=index(TUNA), variables={"PIP_INDEX_URL": ALIYUN})
    (told,) = against(variable, TUNA, PipOptions("install", ALIYUN), PipOptions("list", ALIYUN))
    assert "`unset PIP_INDEX_URL`" in told and ALIYUN in told
    (told,) = against(written(site=index(ALIYUN)), TUNA, PipOptions("install", ALIYUN))
    assert told.startswith("/opt/venv/pip.conf:2 wins")
    (told,) = against(written(variables={"PIP_NO_INDEX": "1"}), TUNA, PipOptions("install", TUNA, no_index=True))
    assert "`unset PIP_NO_INDEX`" in told
    (told,) = against(written(more={"config_file_variable": "/dev/null"}), TUNA, PipOptions("install", OFFICIAL))
    assert "`unset PIP_CONFIG_FILE`" in told
    (told,) = against(written(variables={"PIP_TRUSTED_HOST": "b"}), "http://c.example/simple",
                      PipOptions("install", "http://c.example/simple", trusted_hosts=("b",)))  # fmt: skip
    assert "`unset PIP_TRUSTED_HOST`" in told
    (told,) = against(written(), TUNA, error="bad file")
    assert "bad file" in told
    assert FIX.verify is not None
    (reason,) = FIX.verify(planned({}, tuna=True), written(), Missing("pip-effective", "slow", "no answer"))
    assert "no answer" in reason.say("en")


def test_a_mirror_that_answers_badly_is_written_all_the_same() -> None:
    plan = planned({}, tuna=True, probe=IndexProbe(url=TUNA, outcome="refused", detail="Connection refused"))
    assert after(plan)[USER].endswith(f"{TUNA}\n")
    assert "cannot be reached now: it refuses the connection" in remarks(plan, "warning")


def test_no_edit_is_better_than_an_unsafe_one() -> None:
    """[global] would bring the proxy of [DEFAULT] into effect, in every file there is."""
    everywhere = dict.fromkeys(("xdg", "etc", "legacy", "user", "site"), "[DEFAULT]\nproxy = p\n")
    with pytest.raises(UsageError, match="no safe edit"):
        planned(everywhere, tuna=True)
