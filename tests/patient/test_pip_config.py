"""patient/pip_config.py and patient/ini.py against the real pip, which is the one that knows."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.pip import PipConfig
from envdoctor.patient import ini, pip_config
from tests import ROOT, needs
from tests.patient.real_pip import Pip, Tree, wheels


@pytest.fixture(scope="module", params=wheels(), ids=lambda wheel: Path(wheel).name.split("-py")[0] or "installed")
def pip(request: pytest.FixtureRequest) -> Iterator[Pip]:
    found = Pip(request.param)
    yield found
    found.close()


@pytest.fixture(scope="module")
def own_pip() -> Iterator[Pip]:
    found = Pip("")
    yield found
    found.close()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


HOSTS = ["https://a.example/simple", "https://b.example/simple/", "http://c.example/s # inline", "d.example e.example"]
KEYS = ["index-url", "index_url", "INDEX_URL", "pypi-url", "--index-url", "extra-index-url", "trusted-host"]
KEYS += ["find-links", "cert", "proxy", "unknown"]
section = st.sampled_from(
    ["[global]"] * 6 + ["[install]"] * 3 + ["[download]", "[DEFAULT]", "[Global]", "[a]b]", "[ global]", "[list]"]
)
option = st.builds(
    lambda key, delimiter, value: f"{key}{delimiter}{value}",
    st.sampled_from(KEYS),
    st.sampled_from([" = ", "=", ": ", " =\t", " : "]),
    st.sampled_from([*HOSTS, "", "日本 https://x.example", " padded "]),
)
flag = st.sampled_from(["no-index = yes", "no-index = no", "no-index = maybe", "timeout = 3,5", "retries = 2"])
ODD = ["", "# comment", "; other", "   # indented", "    https://more.example", "\t more", "bare", "= x", " key = x"]
ODD += ["\u3000wide = y", "\u00a0index-url = https://nbsp.example", "[open", "[]"]
odd = st.sampled_from(ODD)
body = st.lists(st.one_of(option, option, option, flag, odd), max_size=5)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    lines: list[str] = []
    for _ in range(draw(st.integers(0, 3))):
        lines += [draw(section), *draw(body)]
    text = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"])).join(lines) + draw(st.sampled_from(["", "\n"]))
    data = text.encode()
    damage = draw(st.sampled_from([None] * 20 + ["bom", "latin-1"]))
    if damage == "bom":
        return b"\xef\xbb\xbf" + data
    return data + b"\n# caf\xe9\n" if damage else data


VARIABLES = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_Find_Links",
    "PIP_PYPI_URL",
    "PIP_ISOLATED",
    "PIP_NO_INDEX",
]
NAMES = ["xdg", "xdg2", "legacy", "user", "site", "extra"]


def names(told: str, file: dict[str, Any]) -> bool:
    """Whether pip's words are about this file and this line."""
    if file["path"] not in told:
        return False
    return file["fault"] == "not-decodable" or re.search(rf"line:?\s+{file['line']}\b", told) is not None


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    contents=st.dictionaries(st.sampled_from(NAMES), files(), max_size=4),
    variables=st.dictionaries(st.sampled_from(VARIABLES), st.sampled_from([*HOSTS, ""]), max_size=3),
    chosen=st.sampled_from([None, None, None, os.devnull, "", "extra", "user", "xdg", "site", "/nonexistent/pip.conf"]),
)
def test_reads_what_pip_reads(
    pip: Pip,
    tmp_path_factory: pytest.TempPathFactory,
    contents: dict[str, bytes],
    variables: dict[str, str],
    chosen: str | None,
) -> None:
    tree = Tree(tmp_path_factory.getbasetemp() / "pip")
    tree.write(contents)
    environ = {**tree.environ, **variables}
    if environ.get("PIP_NO_INDEX"):
        environ["PIP_NO_INDEX"] = "yes"
    if "PIP_ISOLATED" in environ:
        environ["PIP_ISOLATED"] = "1"
    if chosen is not None:
        environ["PIP_CONFIG_FILE"] = str(tree.files[chosen]) if chosen in tree.files else chosen
    answer = pip.ask(environ, tree.prefix)
    if "error" in answer["pip"]:
        assert "error" in answer["ours"], answer
        told = answer["pip"]["error"]
        # pip stops at the first faulty file, and not every version begins with the same one.
        assert any(names(told, file) for file in answer["ours"]["error"]) or any(
            value.split()[0] in told for value in answer["ours"]["refused"]
        ), (told, answer["ours"])
    else:
        assert answer["ours"] == answer["pip"]


FILE_RULES = [
    # PIP_CONFIG_FILE names a file that is a global one already: from 25.2 on that raises nothing.
    ({"xdg": "https://xdg.example", "site": "https://site.example"}, "xdg"),
    ({"xdg": "https://xdg.example", "xdg2": "https://xdg2.example"}, "xdg"),
    # An empty value hides a weaker one, but not in 25.2 and 25.3.
    ({"xdg": "https://xdg.example", "site": ""}, None),
    ({"user": "https://user.example", "extra": ""}, "extra"),
]


@pytest.mark.parametrize(("indexes", "chosen"), FILE_RULES)
def test_rules_that_changed_between_versions(pip: Pip, tree: Tree, indexes: dict[str, str], chosen: str | None) -> None:
    tree.write({name: f"[global]\nindex-url = {url}\n".encode() for name, url in indexes.items()})
    environ = {**tree.environ, "PIP_CONFIG_FILE": str(tree.files[chosen])} if chosen else tree.environ
    answer = pip.ask(environ, tree.prefix)
    assert answer["ours"] == answer["pip"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [((24, 0), "xdg"), ((25, 2), "site"), ((26, 3), "site"), ((), "site")],
)
def test_the_rank_of_a_file_named_twice_depends_on_the_version(version: tuple[int, ...], expected: str) -> None:
    """As the real versions do, which not every machine has at hand."""
    xdg = {"key": "index-url", "value": "xdg", "section": "global", "file": "/xdg"}
    site = {"key": "index-url", "value": "site", "section": "global", "file": "/site"}
    assert dict(pip_config.candidates([xdg, site, xdg], "install", version))["index-url"] == (
        2 if expected == "xdg" else 1
    )


@pytest.mark.parametrize(("version", "expected"), [((24, 0), None), ((25, 2), 0), ((25, 3), 0), ((26, 0), None)])
def test_whether_an_empty_value_hides_a_weaker_one_depends_on_the_version(
    version: tuple[int, ...], expected: int | None
) -> None:
    weak = {"key": "index-url", "value": "weak", "section": "global", "file": "/weak"}
    empty = {"key": "index-url", "value": "", "section": "global", "file": "/empty"}
    assert dict(pip_config.candidates([weak, empty], "install", version)).get("index-url") == expected


def reading_of(tree: Tree, own_pip: Pip, **variables: str) -> PipConfig:
    """Our reading of the tree as the fact, checked against the real pip."""
    answer = own_pip.ask({**tree.environ, **variables}, tree.prefix)
    assert answer["pip"].get("error") is not None or answer["ours"] == answer["pip"]
    found = pip_config.configuration(
        {**tree.environ, **variables}, str(tree.prefix), tree.environ["HOME"], own_pip.version
    )
    fact = decode.fact("pip-config", json.loads(json.dumps(found)))
    assert isinstance(fact, PipConfig)
    assert ("error" in answer["pip"]) == bool(fact.broken)
    return fact


def winner(config: PipConfig, option: str = "index-url", command: str = "install") -> tuple[str, str]:
    found = config.winner(option, command)
    assert found is not None
    return found.value, found.place


A, B = b"[global]\nindex-url = https://a.example/simple\n", b"[global]\nindex-url = https://b.example/simple\n"


def test_a_command_section_beats_global_whatever_the_file(tree: Tree, own_pip: Pip) -> None:
    tree.write({"xdg": b"[install]\nindex-url = https://low.example/simple\n", "site": A})
    config = reading_of(tree, own_pip)
    assert winner(config) == ("https://low.example/simple", f"{tree.files['xdg']}:2")
    assert winner(config, command="download")[0] == "https://a.example/simple"


def test_the_legacy_file_is_below_the_new_one(tree: Tree, own_pip: Pip) -> None:
    tree.write({"legacy": A, "user": b"[global]\ntimeout = 9\n"})
    assert winner(reading_of(tree, own_pip))[1] == f"{tree.files['legacy']}:2"
    tree.write({"legacy": A, "user": B})
    assert winner(reading_of(tree, own_pip))[1] == f"{tree.files['user']}:2"


def test_a_list_replaces_a_list(tree: Tree, own_pip: Pip) -> None:
    tree.write({
        "user": b"[global]\nextra-index-url = https://x.example\n    https://y.example\n",
        "site": b"[global]\nextra-index-url = https://z.example\n",
    })  # fmt: skip
    config = reading_of(tree, own_pip)
    assert winner(config, "extra-index-url") == ("https://z.example", f"{tree.files['site']}:2")
    assert config.of("extra-index-url")[0].items == ("https://x.example", "https://y.example")


def test_an_empty_variable_overrides_nothing(tree: Tree, own_pip: Pip) -> None:
    tree.write({"user": A})
    assert winner(reading_of(tree, own_pip, PIP_INDEX_URL=""))[0] == "https://a.example/simple"


def test_pip_isolated_isolates_nothing(tree: Tree, own_pip: Pip) -> None:
    tree.write({"user": A})
    assert winner(reading_of(tree, own_pip, PIP_ISOLATED="1"))[0] == "https://a.example/simple"


def test_pip_config_file_switches_the_user_files_off(tree: Tree, own_pip: Pip) -> None:
    tree.write({"user": A, "extra": b"[global]\ntimeout = 3\n"})
    config = reading_of(tree, own_pip, PIP_CONFIG_FILE=str(tree.files["extra"]))
    assert config.winner("index-url") is None
    assert config.switched_off == (str(tree.files["user"]),)
    assert config.config_file_variable == str(tree.files["extra"])


def test_dev_null_switches_all_files_off(tree: Tree, own_pip: Pip) -> None:
    tree.write({"xdg": A, "user": A, "site": A})
    config = reading_of(tree, own_pip, PIP_CONFIG_FILE=os.devnull, PIP_PROXY="http://p.example:3128")
    assert config.winner("index-url") is None
    assert winner(config, "proxy") == ("http://p.example:3128", "PIP_PROXY")
    assert {str(tree.files[name]) for name in ("xdg", "user", "site")} <= set(config.switched_off)


def test_a_missing_pip_config_file_changes_nothing(tree: Tree, own_pip: Pip) -> None:
    tree.write({"user": A})
    config = reading_of(tree, own_pip, PIP_CONFIG_FILE="/nonexistent/pip.conf")
    assert winner(config)[0] == "https://a.example/simple"
    assert config.switched_off == ()


@pytest.mark.parametrize(
    ("content", "fault", "line"),
    [
        (b"\xef\xbb\xbf" + A, "bom", 1),
        (b"# mirror\nindex-url = https://a.example/simple\n", "no-section-header", 2),
        (A + b"timeout = 3\nindex-url = https://b.example/simple\n", "duplicate-option", 4),
        (A + A, "duplicate-section", 3),
        (A + b"nonsense\n", "bad-line", 3),
        (A + b"; Universit\xe4t\n", "not-decodable", 3),
    ],
)  # fmt: skip
def test_a_fault_is_found_with_its_line(tree: Tree, own_pip: Pip, content: bytes, fault: str, line: int) -> None:
    tree.write({"user": content})
    (file,) = reading_of(tree, own_pip).broken
    assert (file.fault, file.line, file.path) == (fault, line, str(tree.files["user"]))
    assert file.detail


def test_crlf_comments_and_continuation_lines(tree: Tree, own_pip: Pip) -> None:
    tree.write(
        {
            "user": b"# top\r\n[global]\r\n; note\r\nextra-index-url =\r\n    https://x.example\r\n\r\n    https://y.example\r\n"
        }
    )
    found = reading_of(tree, own_pip).winner("extra-index-url")
    assert found is not None
    assert (found.items, found.line) == (("https://x.example", "https://y.example"), 4)


def test_an_inline_comment_is_part_of_the_url(tree: Tree, own_pip: Pip) -> None:
    tree.write({"user": b"[global]\nindex-url = https://a.example/simple # mirror\n"})
    assert winner(reading_of(tree, own_pip))[0] == "https://a.example/simple # mirror"


def test_a_section_in_capitals_is_not_read(tree: Tree, own_pip: Pip) -> None:
    tree.write({"user": b"[Global]\nINDEX_URL = https://a.example/simple\n"})
    config = reading_of(tree, own_pip)
    assert config.winner("index-url") is None
    assert config.of("index-url")[0].section == "Global"


READ_AS_NOBODY = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from envdoctor.patient import pip_config
os.setuid(65534)
print(json.dumps(pip_config.read_file(sys.argv[2], "user", {}, ())))
"""


def test_a_file_nobody_may_read_is_left_out_in_silence() -> None:
    needs.root()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "pip.conf"
        path.write_bytes(A)
        path.chmod(0)
        argv = [sys.executable, "-c", READ_AS_NOBODY, str(ROOT), str(path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    file = json.loads(done.stdout)
    assert (file["exists"], file["fault"], file["own"], file["items"]) == (True, "unreadable", False, [])


def test_mode_and_owner_are_told(tree: Tree, own_pip: Pip) -> None:
    tree.write({"user": A})
    tree.files["user"].chmod(0o640)
    file = reading_of(tree, own_pip).file(str(tree.files["user"]))
    assert file is not None
    assert (file.mode, file.owner, file.own) == (0o640, os.geteuid(), True)


def test_a_folder_a_fifo_and_a_giant_are_no_trap(tree: Tree) -> None:
    tree.write({"site": b"[global]\n" + b"# filler\n" * 1_200_000})
    tree.files["user"].mkdir()
    os.mkfifo(tree.files["legacy"])
    began = time.perf_counter()
    found = pip_config.configuration(tree.environ, str(tree.prefix), tree.environ["HOME"], "23.2.1")
    assert time.perf_counter() - began < 1.0
    faults = {file["path"]: file.get("fault") for file in found["files"]}
    assert faults[str(tree.files["site"])] == "too-large"
    assert faults[str(tree.files["user"])] == faults[str(tree.files["legacy"])] == "no-file"


def test_it_takes_less_than_ten_milliseconds(tree: Tree) -> None:
    tree.write(dict.fromkeys(("xdg", "legacy", "user", "site"), A))
    took = []
    for _ in range(5):
        began = time.perf_counter()
        pip_config.configuration(tree.environ, str(tree.prefix), tree.environ["HOME"], "23.2.1")
        took.append(time.perf_counter() - began)
    assert min(took) < 0.010


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(section, option, odd, st.text(max_size=20)), max_size=12).map("\n".join))
def test_ini_is_read_as_configparser_reads_it(text: str) -> None:
    text = text.replace("\r", "\n")
    parser = configparser.RawConfigParser()
    lines = ini.lines_of(text.encode("utf-8", "surrogatepass"), "utf-8") if text.isascii() else text.split("\n")
    try:
        parser.read_file(iter([line + "\n" for line in lines]))
    except configparser.Error as error:
        with pytest.raises(ini.Fault) as fault:
            ini.read(lines)
        assert re.search(rf"line:?\s+{fault.value.line}\b", str(error))
        return
    ours: dict[str, dict[str, str]] = {}
    for item in ini.read(lines):
        ours.setdefault(item.section, {})[item.key] = item.value
    theirs = {name: dict(parser.items(name)) for name in parser.sections()}
    defaults = set(parser.defaults())
    assert {
        name: {k: v for k, v in own.items() if k not in defaults} for name, own in theirs.items() if set(own) - defaults
    } == {
        name: {k: v for k, v in own.items() if k not in defaults}
        for name, own in ours.items()
        if name != "DEFAULT" and set(own) - defaults
    }


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("win32", ["C:\\ProgramData/pip/pip.ini", "/h/pip/pip.ini", "R/pip/pip.ini", "/env/pip.ini"]),
        (
            "darwin",
            [f"/{part}/pip.conf" for part in ("Library/Application Support/pip", "h/.pip", "h/.config/pip", "env")],
        ),
    ],
)  # fmt: skip
def test_places_of_other_platforms(platform: str, expected: list[str]) -> None:
    levels = pip_config.places({"APPDATA": "R"}, "/env", "/h", platform, True, (26, 3))
    assert [path for level in levels for path in level.files] == expected


def test_before_19_1_the_site_file_counts_in_a_venv_only() -> None:
    for version, in_venv, expected in (((18, 1), False, False), ((18, 1), True, True), ((19, 1), False, True)):
        levels = pip_config.places({}, "/env", "/h", "linux", in_venv, version)
        assert any(level.name == "site" for level in levels) is expected
