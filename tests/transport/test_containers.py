"""The words are those of docker, podman and kubectl; a program of their arguments stands in for them to execute."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from envdoctor.errors import UsageError
from envdoctor.transport import containers, local, visits
from envdoctor.transport.containers import DOCKER, KUBECTL
from envdoctor.transport.hosts import Host

NOBODY = Host("trainer")
# Takes the arguments as the real program does, and says what it says of a container that is not there.
STAND_IN = """#!/bin/sh
[ "$1" = exec ] && [ "$2" = -i ] || { echo "unknown flag" >&2; exit 125; }
shift 2
while :; do case "$1" in -n|-c) echo "$1 $2" >> "$SEEN"; shift 2;; *) break;; esac; done
name=$1; shift
[ "$1" = -- ] && shift
echo "$name" >> "$SEEN"
[ "$name" = gone ] && { echo "Error response from daemon: No such container: gone" >&2; exit 1; }
exec "$@"
"""


@pytest.mark.parametrize(
    ("way", "said", "outcome"),
    [
        (DOCKER, "Error response from daemon: No such container: trainer", "no-container"),
        (DOCKER, "Error: No such container: trainer", "no-container"),
        (DOCKER, 'Error: no container with name or ID "trainer" found: no such container', "no-container"),
        (DOCKER, "Error response from daemon: container 3f is not running", "not-running"),
        (DOCKER, "Error response from daemon: Container 3f is paused, unpause it first", "not-running"),
        (DOCKER, "Error: can only create exec sessions on running containers: container state improper", "not-running"),
        (DOCKER, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
         "no-daemon"),
        (DOCKER, "permission denied while trying to connect to the Docker daemon socket", "failed"),
        (DOCKER, 'OCI runtime exec failed: exec failed: exec: "/bin/sh": stat /bin/sh: no such file or directory',
         "no-shell"),
        (DOCKER, "something else", "not-executed"),
        (KUBECTL, 'Error from server (NotFound): pods "trainer" not found', "no-container"),
        (KUBECTL, "Error from server (BadRequest): container x is not valid for pod trainer", "no-container"),
        (KUBECTL, "error: cannot exec into a container in a completed pod; current phase is Succeeded", "not-running"),
        (KUBECTL, "Error from server (BadRequest): pod trainer does not have a host assigned", "not-running"),
        (KUBECTL, "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
         "no-daemon"),
        (KUBECTL, "Unable to connect to the server: dial tcp: lookup k8s: no such host", "no-daemon"),
        (KUBECTL, "error: You must be logged in to the server (Unauthorized)", "failed"),
        (KUBECTL, 'Error from server (Forbidden): pods "trainer" is forbidden: User "ada" cannot create', "failed"),
    ],
)  # fmt: skip
def test_words(way: containers.Exec, said: str, outcome: str) -> None:
    told = way.reach(NOBODY, 1, f"Defaulted container main out of: main\n{said}\n", "", heard=False)
    assert told.outcome == outcome and told.way == way.WAY
    assert outcome == "not-executed" or told.said == said


def test_how_it_ended() -> None:
    assert DOCKER.reach(NOBODY, None, "", "", False).outcome == "silent"
    assert DOCKER.reach(NOBODY, 0, "", "a menu", False).outcome == "invalid"
    assert DOCKER.reach(NOBODY, 0, "", "a menu", False).said == "a menu"
    assert DOCKER.reach(NOBODY, 127, "envdoctor: no Python: neither", "", False).outcome == "no-python"
    assert DOCKER.reach(NOBODY, 137, "", "", heard=True).outcome == "ok"


def test_names_of_containers_and_pods() -> None:
    assert [host.name for host in DOCKER.places("a,trainer-[0-2]")] == ["a", "trainer-0", "trainer-1", "trainer-2"]
    assert [host.name for host in KUBECTL.places("ml/job-[0-1]:main")] == ["ml/job-0:main", "ml/job-1:main"]


@pytest.mark.parametrize("spec", ["", ",", "-it", "a,a", "a;id", "$(id)", "x[0-", "a/b"])
def test_what_is_no_name_of_a_container(spec: str) -> None:
    with pytest.raises(UsageError, match="--docker"):
        DOCKER.places(spec)


@pytest.mark.parametrize("spec", ["Pod", "-n", "a/b/c", "pod:", "pod;id", "--", "ns/"])
def test_what_is_no_name_of_a_pod(spec: str) -> None:
    with pytest.raises(UsageError, match="--kubectl"):
        KUBECTL.places(spec)


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("docker", "kubectl"):
        (tmp_path / name).write_text(STAND_IN)
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    return tmp_path / "seen"


def test_the_patient_looks_inside(stand_ins: Path) -> None:
    request = local.Request(limit_s=20.0, quick=True, only=("host",))
    there, gone = visits.examine(DOCKER.places("trainer,gone"), DOCKER, sys.executable, request)
    assert there.answer.complete and set(there.answer.values) == {"host"}
    assert (gone.reach.outcome, gone.reach.said) == (
        "no-container",
        "Error response from daemon: No such container: gone",
    )
    assert sorted(stand_ins.read_text().split()) == ["gone", "trainer"]


def test_a_pod_is_named_with_its_namespace_and_container(stand_ins: Path) -> None:
    request = local.Request(limit_s=20.0, quick=True, only=("host",))
    (there,) = visits.examine(KUBECTL.places("ml/job-0:main"), KUBECTL, sys.executable, request)
    assert there.answer.complete
    assert stand_ins.read_text().splitlines() == ["-n ml", "-c main", "job-0"]


def test_without_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="--docker needs docker or podman, and it is not on PATH"):
        DOCKER.argv(NOBODY, "true")
