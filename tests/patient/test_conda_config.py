"""patient/conda_config.py and patient/condarc.py against made-up homes and the YAML people write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envdoctor import decode
from envdoctor.facts.conda import CondaConfig
from envdoctor.patient import conda_config, condarc
from envdoctor.patient.sections import Ask, NotHere

RECIPE = """\
channels:
  - defaults
show_channel_urls: true
default_channels:
  - https://m.example/anaconda/pkgs/main   # the big one
  - https://m.example/anaconda/pkgs/r
custom_channels:
  conda-forge: https://m.example/anaconda/cloud
  "pytorch": 'https://m.example/anaconda/cloud'
"""


def test_the_recipe_everyone_pastes() -> None:
    values, lines, odd = condarc.parse(RECIPE)
    assert values["channels"] == ["defaults"]
    assert values["default_channels"] == ["https://m.example/anaconda/pkgs/main", "https://m.example/anaconda/pkgs/r"]
    assert values["custom_channels"]["pytorch"] == "https://m.example/anaconda/cloud"
    assert (lines["default_channels"], lines["custom_channels.pytorch"], odd) == (4, 9, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("channels: [conda-forge, 'defaults']", {"channels": ["conda-forge", "defaults"]}),
        ("channels:\n- a\n- b", {"channels": ["a", "b"]}),
        ("channels: #!final\n  - a #!top\n", {"channels": ["a"]}),
        (
            "custom_channels: {pytorch: https://m.example/cloud}",
            {"custom_channels": {"pytorch": "https://m.example/cloud"}},
        ),
        ("custom_multichannels:\n  mine:\n    - a\n    - b\n", {"custom_multichannels": {"mine": ["a", "b"]}}),
        ("channel_alias: https://m.example/cloud # x", {"channel_alias": "https://m.example/cloud"}),
        ("ssl_verify: false\r\n", {"ssl_verify": "false"}),
        ("\ufeffchannels:\n  - a", {"channels": ["a"]}),
        ("# only a comment\n---\n", {}),
        (
            "proxy_servers:\n  https: http://u:p@p.example:3128",
            {"proxy_servers": {"https": "http://u:p@p.example:3128"}},
        ),
    ],
)
def test_the_yaml_of_condarc(text: str, expected: object) -> None:
    values, _, odd = condarc.parse(text)
    assert (values, odd) == (expected, [])


def test_what_is_not_understood_is_said() -> None:
    _, _, odd = condarc.parse("channels:\n\t- a\nnonsense\n- item\n  deep: 1\nalias: x\n  - y\n  more: z")
    assert odd == [2, 3, 5, 7, 8]


@given(st.text(alphabet="abc:-# \n\t[]{}'\",/", max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    values, lines, _ = condarc.parse(text)
    assert set(values) <= set(lines)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "CONDARC",
        "CONDA_EXE",
        "CONDA_PREFIX",
        "CONDA_ROOT",
        "CONDA_CHANNELS",
        "XDG_CONFIG_HOME",
        "CONDA_CHANNEL_ALIAS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


def observed() -> CondaConfig:
    found = decode.fact("conda-config", json.loads(json.dumps(conda_config.conda_config(Ask({})))))
    assert isinstance(found, CondaConfig)
    return found


def test_channels_of_the_recipe(home: Path) -> None:
    (home / ".condarc").write_text(RECIPE)
    config = observed()
    assert config.channel_urls == ("https://m.example/anaconda/pkgs/main", "https://m.example/anaconda/pkgs/r")
    assert [file.path for file in config.files] == [str(home / ".condarc")]


def test_a_stronger_file_comes_first_and_maps_merge(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".conda").mkdir()
    (home / ".conda/condarc").write_text("channels: [a, b]\nchannel_alias: https://low.example\n")
    (home / ".condarc").write_text("channels: [c, a]\ncustom_channels:\n  c: https://m.example/cloud/\n")
    monkeypatch.setenv("CONDARC", str(home / "last.yml"))
    (home / "last.yml").write_text("channel_alias: https://high.example/\n")
    config = observed()
    assert config.channels == ("c", "a", "b")
    urls = ("https://m.example/cloud/c", "https://high.example/a", "https://high.example/b")
    assert config.channel_urls == urls


def test_conda_appends_the_name(home: Path) -> None:
    (home / ".condarc").write_text(
        "channels: [conda-forge]\ncustom_channels:\n  conda-forge: https://m.example/cloud/conda-forge\n"
    )
    assert observed().channel_urls == ("https://m.example/cloud/conda-forge/conda-forge",)


def test_pieces_and_multichannels(home: Path) -> None:
    pieces = home / ".config/conda/condarc.d"
    pieces.mkdir(parents=True)
    (pieces / "10.yml").write_text("channels: [mine]\n")
    (pieces / "20.yaml").write_text("custom_multichannels:\n  mine: [https://x.example/one]\n")
    assert observed().channel_urls == ("https://x.example/one",)


def test_an_environment_tells_its_torch(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meta = home / "env/conda-meta"
    meta.mkdir(parents=True)
    told = {"name": "pytorch", "version": "2.5.1", "build": "cpu_generic_py312_0", "channel": "conda-forge"}
    (meta / "pytorch-2.5.1-cpu_generic_py312_0.json").write_text(json.dumps(told))
    (meta / "pytorch-lightning-2.4-pyhd.json").write_text("{}")
    (meta / "cpuonly-2.0-0.json").write_text("not json")
    monkeypatch.setattr("sys.prefix", str(home / "env"))
    config = observed()
    assert config.environment == str(home / "env")
    assert [(package.name, package.cpu) for package in config.packages] == [("pytorch", True)]


def test_installed_and_initialised(home: Path) -> None:
    (home / "miniconda3/conda-meta").mkdir(parents=True)
    (home / ".bashrc").write_text("# >>> conda initialize >>>\n")
    config = observed()
    assert str(home / "miniconda3") in config.installations
    assert config.initialised_in == (str(home / ".bashrc"),)
    assert config.programs == ()


def test_a_program_names_its_root(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "c/conda-meta").mkdir(parents=True)
    (home / "c/bin").mkdir()
    program = home / "c/bin/conda"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (home / "c/.condarc").write_text("channels: [x]\n")
    monkeypatch.setenv("PATH", str(program.parent))
    config = observed()
    assert (config.root, config.programs[0].path, config.channels) == (str(home / "c"), str(program), ("x",))


def test_no_conda_at_all(home: Path) -> None:
    if conda_config.installations({}) or conda_config.files(conda_config.search_path({}, "", "")):
        pytest.skip("this machine has conda")
    with pytest.raises(NotHere):
        conda_config.conda_config(Ask({}))


def test_what_is_final_and_what_the_environment_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".conda").mkdir()
    (home / ".conda/condarc").write_text(
        "default_channels: #!final\n  - https://low.example/pkgs/main\nchannels: [a]\n"
    )
    (home / ".condarc").write_text(
        "default_channels: [https://high.example/pkgs/main]\ncustom_multichannels: {m: [a]}\n"
    )
    monkeypatch.setenv("CONDA_CHANNELS", "b, a")
    monkeypatch.setenv("CONDA_DEFAULT_CHANNELS", "https://env.example/pkgs/main")
    config = observed()
    assert config.default_channels == ("https://low.example/pkgs/main",)
    assert config.channels == ("b", "a")
    assert [pair.name for pair in config.variables] == ["CONDA_CHANNELS", "CONDA_DEFAULT_CHANNELS"]
    low = config.files[0].setting("default_channels")
    assert low is not None and low.final
    assert config.search.index(str(home / ".conda/condarc")) < config.search.index(str(home / ".condarc"))
