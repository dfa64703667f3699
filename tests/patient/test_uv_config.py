"""patient/uv_config.py and patient/toml_lines.py: compared with tomllib, and with uv's rules for what wins."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.uv import COMMANDS, UvConfig, default_index
from envdoctor.patient import toml_lines, uv_config
from envdoctor.patient.sections import Ask, NotHere

A, B = "https://a.example/simple", "https://b.example/simple"


def test_values_and_their_lines() -> None:
    text = f"""\
# uv
index-url = "{A}"  # the mirror
extra-index-url = [
    "{B}",  # one
    '{A}',
]
[pip]
find-links = ["/srv # not a comment"]
[[index]]
name = "one"
url = "{A}"
default = true
[[index]]
url = "{B}"
[tool."odd name".sub]
index = [{{ url = "{A}", default = true }}, {{ url = "{B}" }}]
"""
    found = [(table, count, key, line, value) for table, count, key, line, value in toml_lines.read(text)]
    assert found == [
        ("", 0, "index-url", 2, A),
        ("", 0, "extra-index-url", 3, [B, A]),
        ("pip", 0, "find-links", 8, ["/srv # not a comment"]),
        ("index", 0, "name", 10, "one"),
        ("index", 0, "url", 11, A),
        ("index", 0, "default", 12, True),
        ("index", 1, "url", 14, B),
        ("tool.odd name.sub", 0, "index", 16, [{"url": A, "default": True}, {"url": B}]),
    ]


def test_strings_of_several_lines_are_passed_over() -> None:
    assert [value for *_, value in toml_lines.read("url = '''a'''\nurl = \"\"\"b\"\"\"\n")] == ["a", "b"]
    text = 'description = """\nindex-url = "no"\n"""\nindex-url = "yes"\n'
    assert [(key, line) for _, _, key, line, _ in toml_lines.read(text)] == [("index-url", 4)]


words = st.text(alphabet="abcXYZ019 /:#[]{},=._-", max_size=12)
values = st.one_of(words, st.booleans(), st.lists(words, max_size=3))


def written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ", ".join(written(item) for item in value) + "]" if isinstance(value, list) else f'"{value}"'


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
@settings(max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b.c", "tool.uv"]),
        st.dictionaries(st.sampled_from(["x", "y-z", "w_1"]), values),
        max_size=3,
    )
)
def test_reads_what_tomllib_reads(tables: dict[str, dict[str, Any]]) -> None:
    tomllib = importlib.import_module("tomllib")
    text = "".join(
        f"[{table}]\n" + "".join(f"{k} = {written(v)}\n" for k, v in keys.items()) for table, keys in tables.items()
    )
    expected: dict[tuple[str, str], Any] = {}
    parsed = tomllib.loads(text)
    for table, keys in tables.items():
        place: Any = parsed
        for part in table.split("."):
            place = place[part]
        expected.update({(table, key): place[key] for key in keys})
    assert {(table, key): value for table, _, key, _, value in toml_lines.read(text)} == expected


@given(st.text(alphabet="ab=[]{}'\",.# \n\\", max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert all(line >= 1 for _, _, _, line, _ in toml_lines.read(text))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*uv_config.VARIABLES, "UV_CONFIG_FILE", "UV_NO_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    project = tmp_path / "work/project/src"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    return tmp_path


def observed() -> UvConfig:
    found = decode.fact("uv-config", json.loads(json.dumps(uv_config.uv_config(Ask({})))))
    assert isinstance(found, UvConfig)
    return found


def default_of(config: UvConfig) -> tuple[str, str]:
    assert config.default_index is not None
    return config.default_index.url, config.default_index.place


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def index(url: str, default: bool = True) -> str:
    return f'[[index]]\nurl = "{url}"\ndefault = {str(default).lower()}\n'


def test_the_project_beats_the_user_beats_the_system(home: Path) -> None:
    system = put(home / "xdg/uv/uv.toml", index("https://system.example"))
    assert default_of(observed()) == ("https://system.example", f"{system}:2")
    user = put(home / ".config/uv/uv.toml", index("https://user.example"))
    assert default_of(observed()) == ("https://user.example", f"{user}:2")
    project = put(home / "work/project/pyproject.toml", "[project]\nname='x'\n[tool.uv]\nindex-url = '" + A + "'\n")
    assert default_of(observed()) == ("https://user.example", f"{user}:2")  # [[index]] is asked before index-url
    user.write_text("")
    system.write_text("")
    assert default_of(observed()) == (A, f"{project}:4")
    beside = put(home / "work/project/uv.toml", index(B))
    assert default_of(observed()) == (B, f"{beside}:2")
    assert [file.level for file in observed().files] == ["project", "user", "system"]


def test_variables_beat_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / ".config/uv/uv.toml", f"index-url = '{A}'\n")
    monkeypatch.setenv("UV_INDEX_URL", "https://old.example/simple")
    assert default_of(observed()) == ("https://old.example/simple", "UV_INDEX_URL")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "mine=https://new.example/simple")
    assert default_of(observed()) == ("https://new.example/simple", "UV_DEFAULT_INDEX")


def test_an_index_without_default_is_an_extra_one(home: Path) -> None:
    put(home / ".config/uv/uv.toml", index(A, default=False) + "[pip]\nindex-url = '" + B + "'\n")
    config = observed()
    assert config.default_index is None
    assert [(found.url, found.pip_only) for found in config.indexes] == [(A, False), (B, True)]


def test_no_config_hides_every_file_but_a_chosen_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / ".config/uv/uv.toml", index(A))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    with pytest.raises(NotHere):
        uv_config.uv_config(Ask({}))
    monkeypatch.setenv("UV_DEFAULT_INDEX", A)
    assert observed().no_config
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    chosen = put(home / "work/chosen.toml", index(B))
    monkeypatch.setenv("UV_CONFIG_FILE", "../../chosen.toml")
    assert default_of(observed())[0] == B
    assert not observed().no_config
    assert [Path(file.path).resolve() for file in observed().files] == [chosen]


def test_the_users_file_is_known_before_it_is_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert uv_config.user_file({"HOME": "/h"}) == "/h/.config/uv/uv.toml"
    assert uv_config.user_file({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}) == "/x/uv/uv.toml"
    assert uv_config.user_file({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}) == "/h/.config/uv/uv.toml"
    put(home / "work/project/uv.toml", index(A))
    assert observed().user_file == str(home / ".config/uv/uv.toml")


MEMBER = "[project]\nname='m'\n[tool.uv.sources]\n[[tool.uv.index]]\nurl='" + A + "'\ndefault=true\n"


@pytest.mark.parametrize(
    ("members", "expected"),
    [("['pro*']", B), ("['./project']", B), ("['**/project']", B), ("['other']", A),
     ("['*']\nexclude=['project']", A), ("['*/*']", A)],
)  # fmt: skip
def test_a_member_of_a_workspace_has_the_settings_of_its_root(home: Path, members: str, expected: str) -> None:
    put(home / "work/project/pyproject.toml", MEMBER)
    put(home / "work/pyproject.toml", f"[tool.uv.workspace]\nmembers={members}\n[tool.uv]\nindex-url='{B}'\n")
    assert default_of(observed())[0] == expected


def test_a_root_is_a_member_of_its_own_workspace(home: Path) -> None:
    put(home / "work/project/pyproject.toml", MEMBER + "[tool.uv.workspace]\n members=[]\n")
    put(home / "work/pyproject.toml", f"[tool.uv.workspace]\nmembers=['*']\n[tool.uv]\nindex-url='{B}'\n")
    assert default_of(observed())[0] == A


def test_the_commands_of_uv_weigh_settings_differently(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = put(home / ".config/uv/uv.toml", f"index-url = '{A}'\n[pip]\nindex-url = '{B}'\n")

    def both() -> list[str]:
        told = [default_index(observed().indexes, command) for command in COMMANDS]
        return [one.url if one else "" for one in told]

    assert both() == [A, B]
    user.write_text(f"index-url = '{A}'\n[pip]\nindex-url = '{B}'\n" + index("https://c.example"))
    assert both() == ["https://c.example"] * 2
    monkeypatch.setenv("UV_INDEX_URL", "https://e.example")
    assert both() == ["https://c.example", "https://e.example"]
    monkeypatch.setenv("UV_INDEX", "one=https://e.example two=https://f.example")
    user.write_text("[[index]]\nname='two'\nurl='https://c.example'\ndefault=true\n")
    assert both() == ["https://e.example"] * 2  # an index of the same name is hidden


def test_a_pyproject_without_uv_is_passed_over(home: Path) -> None:
    put(home / "work/project/pyproject.toml", "[project]\nname='x'\n")
    outer = put(home / "work/uv.toml", index(A))
    assert default_of(observed())[1] == f"{outer}:2"


def test_hosts_of_the_lock_file(home: Path) -> None:
    path = put(
        home / "work/project/uv.lock",
        'source = { registry = "https://ada:pw@m.example/simple" }\n' * 3
        + 'source = { registry = "https://b.example/simple" }\n',
    )
    lock = observed().lock
    assert (lock.path, lock.hosts) == (str(path), ("m.example", "b.example"))


def test_uv_is_found_by_its_file(home: Path) -> None:
    program = put(home / ".local/bin/uv", "#!/bin/sh\n")
    program.chmod(0o755)
    assert observed().program == str(program)
