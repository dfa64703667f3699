"""facts/pip_rules.py: the commands that take a value away or put another in its place do just that."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from envdoctor.facts.pip import PipConfig
from envdoctor.facts.pip_rules import put, unset
from envdoctor.patient import ini
from tests.checks.pip_configs import PLACES, index, written

LONG = """[global]
timeout = 3
extra-index-url =
    https://a.example/simple
    # said twice
    https://b.example/simple
retries = 2"""


def after(command: str, place: str, text: str, folder: Path) -> dict[str, str]:
    """What a copy of the file holds once the command was run on it."""
    copy = folder / "pip.conf"
    copy.write_text(text)
    assert PLACES[place][1] in command
    subprocess.run(["sh", "-c", command.replace(PLACES[place][1], str(copy))], check=True)
    return {item.key: item.value for item in ini.read(copy.read_text().split("\n"))}


def extra(config: PipConfig) -> tuple[str, str]:
    value = config.winner("extra-index-url")
    assert value is not None
    new = "https://a.example/simple https://x.example/s?a&b=c|d"
    return unset(config, value, "python"), put(config, value, "extra-index-url", new, "python")


@pytest.mark.parametrize("place", ["legacy", "env"])
def test_a_value_of_several_lines_goes_as_a_whole(place: str, tmp_path: Path) -> None:
    gone, changed = extra(written(**{place: LONG}))  # type: ignore[arg-type]
    gone, changed = gone.replace("sudo ", ""), changed.replace("sudo ", "")
    assert after(gone, place, LONG, tmp_path) == {"timeout": "3", "retries": "2"}
    left = after(changed, place, LONG, tmp_path)
    assert left == {
        "timeout": "3",
        "retries": "2",
        "extra-index-url": "https://a.example/simple https://x.example/s?a&b=c|d",
    }


def test_pip_edits_the_last_file_of_a_level_itself() -> None:
    gone, changed = extra(written(site=LONG))
    assert gone == "python -m pip config --site unset global.extra-index-url"
    assert changed.startswith("python -m pip config --site set global.extra-index-url 'https://a.example/simple ")


def test_variables_belong_to_the_shell() -> None:
    gone, changed = extra(written(variables={"PIP_EXTRA_INDEX_URL": "https://a.example/simple"}))
    assert gone == "unset PIP_EXTRA_INDEX_URL"
    assert changed.startswith("export PIP_EXTRA_INDEX_URL='https://a.example/simple ")


def test_what_is_written_nowhere_goes_into_the_users_file() -> None:
    config = written(etc=index("https://a.example/simple"))
    assert (
        put(config, None, "cert", "/etc/my ca.pem", "python")
        == "python -m pip config --user set global.cert '/etc/my ca.pem'"
    )
