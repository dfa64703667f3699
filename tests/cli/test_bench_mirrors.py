"""`envdoctor bench mirrors` as its users run it: in a process of its own, over sites of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

import pytest

from envdoctor.bench.mirror_run import ANSWER_S
from envdoctor.knowledge import mirrors
from tests import needs
from tests.bench import mirror_sites as lab
from tests.bench.mirror_sites import NEWEST, OLD, behaving, index, json_page
from tests.bench.speed import dropping
from tests.cli.test_live import on_a_terminal

FRESH = json_page(OLD, NEWEST)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user without settings; pip.conf in the folder may be replaced."""
    return lab.environment(tmp_path / "no-bundle.pem", tmp_path) | {"PIP_CERT": ""}


def bench(environ: dict[str, str], *arguments: str, limit_s: float = 40) -> subprocess.CompletedProcess[str]:
    target = [] if "--python" in arguments else ["--python", sys.executable]
    command = [sys.executable, "-m", "envdoctor", "bench", "mirrors", *target, *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=limit_s)


def configure(environ: dict[str, str], *lines: str) -> None:
    Path(environ["PIP_CONFIG_FILE"]).write_text("\n".join(["[global]", *lines, ""]))


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_table_ends_in_the_one_command(environ: dict[str, str]) -> None:
    configure(environ)
    with behaving(index(FRESH)) as url, behaving(index(json_page(OLD))) as stale:
        done = bench(environ, url, stale)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("package indexes, asked as pip/")
    rows = [line for line in lines if "127.0.0.1" in line and ("✓" in line or "!" in line)]
    assert rows[0].startswith("✓") and NEWEST in rows[0] and "MB/s" in rows[0]
    assert rows[1].startswith("!") and f"is behind: {NEWEST} is out" in rows[1]
    assert lines[-1] == f"  envdoctor fix pip-mirror --url {url}"


def test_one_document_for_machines(environ: dict[str, str], tmp_path: Path) -> None:
    with behaving(index(FRESH)) as url, lab.refusing() as dead:
        configure(environ, f"index-url = {url}")
        done = bench(environ, url, dead, "--json", "-o", str(tmp_path / "out.json"))
    assert (done.returncode, done.stdout) == (0, "")
    document = json.loads((tmp_path / "out.json").read_text())
    assert (document["schema"], document["op"]) == ("envdoctor/bench/1", "mirrors")
    assert document["user_agent"].startswith("pip/") and "{" in document["user_agent"]
    first, second = document["mirrors"]
    assert (first["state"], first["in_effect"], second["state"]) == ("usable", True, "unusable")
    assert document["keep"] is True and document["command"] is None
    assert document["in_effect"] == document["fastest"] == first["name"]
    assert [(one["code"], one["severity"]) for one in document["findings"]] == [("pip-index-unreachable", "note")]
    assert all(row["received_bytes"] < 5e6 for row in document["mirrors"])


def test_what_is_wrong_with_the_index_in_effect_is_no_mere_note(environ: dict[str, str]) -> None:
    with behaving(index(FRESH)) as url, lab.refusing() as dead:
        configure(environ, f"index-url = {dead}")
        document = told(bench(environ, url, dead, "--json"))
        text = bench(environ, url, dead, "--lang", "zh").stdout
    assert [(one["code"], one["severity"]) for one in document["findings"]] == [("pip-index-unreachable", "error")]
    assert document["command"] == f"envdoctor fix pip-mirror --url {url}"
    assert "* pip 目前所用的索引" in text and "拒绝连接" in text


def test_exit_1_and_one_sentence_where_nothing_can_be_used(environ: dict[str, str]) -> None:
    configure(environ)
    with lab.refusing() as dead:
        done, document = bench(environ, dead), told(bench(environ, dead, "--json"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("none of these indexes is usable from here: connections are refused")
    assert document["fastest"] is None and "refused" in document["conclusion"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tunna"], "no mirror is called tunna; did you mean tuna?"),
        (["sjtugg"], "did you mean sjtug?"),
        (["zzzzzz"], "no mirror is called zzzzzz; there are tuna, ustc, aliyun"),
        ([""], "no mirror is called ''; there are tuna, ustc, aliyun"),
        (["tunna", "--lang", "zh"], "没有名为 tunna 的镜像；是否指 tuna？"),
        (["ftp://mirror.example/simple"], "is no package index"),
        (["tuna", "--url", "mirrors.aliyun.com"], "is no package index"),
        (["tuna", "-o", "/no/such/folder/x"], "there is no folder"),
    ],
)
def test_exit_2_for_what_makes_no_sense(environ: dict[str, str], arguments: list[str], said: str) -> None:
    done = bench(environ, *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_a_python_without_pip_is_said_and_measured_for(environ: dict[str, str], tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    with behaving(index(FRESH)) as url:
        done = bench(environ, url, "--python", str(tmp_path / "bare"))
    assert done.returncode == 0
    assert "the target's pip could not be asked" in done.stdout
    refused = bench(environ, mirrors.OFFICIAL, "--python", str(tmp_path / "bare"))
    assert refused.returncode == 2 and "known from the target's pip alone" in refused.stderr


def test_passwords_are_not_shown(environ: dict[str, str]) -> None:
    with behaving(index(FRESH)) as url:
        secret = url.replace("://", "://me:hunter2secret@")
        configure(environ, f"index-url = {secret}")
        shown = [bench(environ, secret, *more).stdout for more in ([], ["--json"])]
        both = bench(environ, url, secret, "--json")
    assert all("127.0.0.1" in text and "hunter2secret" not in text for text in shown)
    assert "hunter2secret" not in both.stdout + both.stderr


def under_way(process: subprocess.Popen[str], hole: socket.socket, stage: str) -> None:
    """Wait until the doctor asks pip, or until it asks the site."""
    if stage == "site":
        assert select.select([hole], [], [], 20)[0]
        return
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 20
    while not children.read_text() and time.monotonic() < until:
        time.sleep(0.01)
    assert children.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("stage", ["pip", "site"])
def test_control_c_ends_it_at_once_without_a_traceback(environ: dict[str, str], stage: str) -> None:
    configure(environ)
    with socket.create_server(("127.0.0.1", 0)) as hole:
        url = f"http://127.0.0.1:{hole.getsockname()[1]}/simple"
        command = [sys.executable, "-m", "envdoctor", "bench", "mirrors", url, "--json", "--timeout", "60"]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        under_way(process, hole, stage)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, said = process.communicate(timeout=20)
        took = time.monotonic() - began
    assert process.returncode == 130
    assert "Traceback" not in said and "interrupted" in said
    assert json.loads(out)["error"]["exit_code"] == 130
    assert took < 2


def test_a_bar_on_a_terminal(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    configure(environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with behaving(index(FRESH)) as url:
        command = ["bench", "mirrors", url, "--python", sys.executable, "--color", "never"]
        page, quiet = on_a_terminal(*command), on_a_terminal(*command, "--quiet")
    assert "asking pip how it is set up" in page and "━" in page
    assert "━" not in quiet and len(quiet.splitlines()) == 2
    assert quiet.splitlines()[-1] == page.splitlines()[-1] == f"  envdoctor fix pip-mirror --url {url}"


def test_help_imports_nothing_heavy() -> None:
    for arguments in (["--help"], ["bench", "--help"], ["bench", "mirrors", "--help"]):
        code = (
            "import contextlib, io, sys\nfrom envdoctor.cli.app import run\n"
            f"with contextlib.redirect_stdout(io.StringIO()):\n    run({arguments!r})\n"
            "heavy = ('requests', 'urllib3', 'rich', 'msgspec', 'envdoctor.bench')\n"
            "print([name for name in heavy if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "[]\n", done.stdout + done.stderr


def finds_torch(environ: dict[str, str], url: str) -> bool:
    """Whether the real pip finds torch at an index."""
    options = ["--index-url", url, "--timeout", "1", "--retries", "0", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-m", "pip", "index", "versions", "torch", *options]
    return subprocess.run(command, env=environ, capture_output=True).returncode == 0


def test_twelve_sites_two_of_them_dead_and_the_real_pip_agrees(tmp_path: Path) -> None:
    nginx, openssl = needs.program("nginx", "nginx-light"), needs.program("openssl")
    with lab.twelve(nginx, openssl, tmp_path) as (sites, ca):
        environ = lab.environment(ca, tmp_path)
        document = told(bench(environ, "--json", *sites.values()))
        found_by_pip = {name for name, url in sites.items() if finds_torch(environ, url)}
    assert document["seconds"] < ANSWER_S + 2
    name_of = {url: name for name, url in sites.items()}
    found = {name_of[row["url"]]: row for row in document["mirrors"]}
    reasons = {name: tuple(row["reasons"]) for name, row in found.items()}
    assert reasons == {
        "fast": (),
        "fast, PEP 503 page": (),
        "fast, without TLS": (),
        "8 MB/s": (),
        "slow, 400 kB/s": (),
        "stale": ("stale",),
        "links lead elsewhere": ("elsewhere",),
        "blocks pip's User-Agent": ("blocked",),
        "certificate of a strange authority": ("tls",),
        "a portal": ("not-an-index",),
        "dead, takes connections and never answers": ("timeout",),
        "dead, refuses": ("refused",),
    }
    assert found_by_pip == {name for name, row in found.items() if row["state"] != "unusable"}
    assert found["8 MB/s"]["bytes_per_s"] == pytest.approx(8e6, rel=0.4)
    assert found["slow, 400 kB/s"]["bytes_per_s"] == pytest.approx(4e5, rel=0.4)
    usable = [row for row in document["mirrors"] if row["state"] == "usable"]
    assert [row["expected_s"] for row in usable] == sorted(row["expected_s"] for row in usable)
    assert all(row["received_bytes"] < 5e6 for row in document["mirrors"])


def test_whichever_bundle_wins_the_real_pip_agrees(tmp_path: Path) -> None:
    openssl = needs.program("openssl")
    ca = str(lab.authority(openssl, tmp_path))
    strange = str(lab.authority(openssl, tmp_path, "strange"))
    settings = [
        {"PIP_CERT": ca, "REQUESTS_CA_BUNDLE": strange},
        {"PIP_CERT": strange, "REQUESTS_CA_BUNDLE": ca},
        {"PIP_CERT": strange, "SSL_CERT_FILE": ca},
        {"SSL_CERT_FILE": ca},
        {"PIP_CERT": strange, "PIP_TRUSTED_HOST": "127.0.0.1"},
        {"PIP_CERT": strange},
    ]
    plain = lab.environment(Path(os.devnull), tmp_path) | {"PIP_CONFIG_FILE": os.devnull}
    with behaving(index(FRESH), lab.certificate(openssl, tmp_path)) as url:
        for more in settings:
            state = told(bench(plain | more, url, "--json"))["mirrors"][0]["state"]
            assert (state == "usable") == finds_torch(plain | more, url), more


def test_packets_that_vanish_cost_the_deadline_of_the_dead(environ: dict[str, str]) -> None:
    needs.root()
    needs.program("ip", "iproute2")
    configure(environ)
    with contextlib.ExitStack() as stack:
        try:
            inside = stack.enter_context(dropping())
        except subprocess.CalledProcessError:
            needs.namespaces()
            pytest.skip("no network namespace can be made here")
        assert inside is not None
        command = [*inside, sys.executable, "-m", "envdoctor", "bench", "mirrors", "--json"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    document = told(done)
    assert done.returncode == 1 and len(document["mirrors"]) > 12
    assert document["seconds"] < ANSWER_S + 2
    assert {tuple(row["reasons"]) for row in document["mirrors"]} == {("timeout",)}
