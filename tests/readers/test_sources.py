"""envdoctor/readers/sources.py: whatever a text lies in, and whatever happens to it while it is read."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from envdoctor.errors import UsageError
from envdoctor.readers import scan, sources
from tests import needs
from tests.readers.texts import read
from tests.users import NOBODY, acting_as, home_of

SHM = b"RuntimeError: DataLoader worker (pid 2718) is killed by signal: Bus error. It is possible that"
NOISE = random.Random(3).randbytes(300_000).hex().encode()  # packs badly


def lines_of(reading: scan.Reading) -> list[int]:
    return [seen.place.line for seen in reading.log.sightings if seen.code == "shm-too-small"]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_rotated_logs_are_unpacked(pack: Callable[[bytes], bytes]) -> None:
    assert lines_of(read(pack(b"epoch 1\n" * 50_000 + SHM))) == [50_001]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_log_that_breaks_off_is_read_as_far_as_it_goes(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(SHM + b"\n" + NOISE + b"\n" + NOISE[::-1])
    reading = read(packed[: len(packed) - 20])
    assert lines_of(reading) == [1]
    assert reading.log.size_bytes > 600_000
    (error,) = reading.unread
    assert "train.log: " in str(error) and "end" in str(error)
    with pytest.raises(UsageError, match="cannot read"):
        read(packed[:20])


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\x28\xb5\x2f\xfd\x04\x00", "`zstd -dc '{name}' |"),
        (b"PK\x03\x04\x14\x00", "`unzip -p '{name}' |"),
        (b"\x04\x22\x4d\x18\x64\x40", "`lz4 -dc '{name}' |"),
    ],
)
def test_what_cannot_be_unpacked_says_what_can(start: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "train log"
    path.write_bytes(start + b"more")
    with pytest.raises(UsageError) as refused:
        scan.read([str(path)])
    assert said.format(name=path) + " envdoctor explain -`" in str(refused.value)


def test_a_pipe_gives_what_it_has_and_lines_keep_their_neighbours(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            for part in (b"\x1f", *(gzip.compress(b"a\n" * 9 + SHM)[1:][at : at + 7] for at in range(0, 500, 7))):
                file.write(part)

    writer = threading.Thread(target=write)
    writer.start()
    assert lines_of(scan.read([str(pipe)])) == [10]
    writer.join()


def test_pieces_of_a_pipe_are_as_large_as_those_of_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = b"0123456789\n" * 200_000
    writer = threading.Thread(target=lambda: pipe.write_bytes(text))
    writer.start()
    found = list(sources.pieces(str(pipe)))
    writer.join()
    assert b"".join(found) == text
    assert len(found) == 3


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_unpacked_too(pack: Callable[[bytes], bytes]) -> None:
    code = "from envdoctor.readers import scan; print(scan.read(['-']).log.sightings[0].place)"
    done = subprocess.run([sys.executable, "-c", code], input=pack(b"a\n" + SHM), capture_output=True, check=True)
    assert done.stdout.decode().strip() == "-:2"


def test_standard_input_that_is_closed_is_named() -> None:
    code = (
        "import sys; from envdoctor.readers import sources; from envdoctor.errors import UsageError\n"
        "try: list(sources.pieces('-'))\n"
        "except UsageError as error: print(error)"
    )
    done = subprocess.run(f'"{sys.executable}" -c "$CODE" <&-', shell=True, env={**os.environ, "CODE": code}, stdout=-1)
    assert done.stdout == b"cannot read standard input: it is closed\n"


@pytest.mark.parametrize("hole", [1000, 3 << 20])
def test_a_hole_in_a_file_is_no_end(hole: int, tmp_path: Path) -> None:
    # logrotate's copytruncate under a writer that does not append leaves one at the beginning.
    path = tmp_path / "train.log"
    path.write_bytes(b"\0" * hole + b"epoch 1\n" + b"\0" * hole + SHM + b"\n" + b"\0" * hole)
    reading = scan.read([str(path)])
    assert lines_of(reading) == [2]
    assert reading.unread == ()


def test_a_file_that_grows_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(b"epoch 1\n" * 300_000)

    def grows(_: str, read: int) -> None:
        with path.open("ab") as file:
            file.write(b"epoch 2\n" * 300_000)

    assert scan.read([str(path)], grows).log.lines == 300_000 * 2  # once before it is opened
    assert path.stat().st_size > 300_000 * 8 * 4


def test_a_file_that_shrinks_or_vanishes_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    told: list[int] = []

    def changes(_: str, read: int) -> None:
        told.append(read)
        if len(told) == 2:
            path.write_bytes(b"") if shrinks else path.unlink()

    for shrinks in (True, False):
        path.write_bytes(SHM + b"\n" + b"epoch 1\n" * 300_000)
        told.clear()
        reading = scan.read([str(path)], changes)
        assert lines_of(reading) == [1]
        assert (reading.log.lines == 300_001) is not shrinks
        assert reading.unread == ()


def test_one_file_that_cannot_be_read_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(SHM)
    reading = scan.read([str(tmp_path / "gone.log"), str(path), str(tmp_path)])
    assert lines_of(reading) == [1]
    assert [str(error).rpartition(": ")[2] for error in reading.unread] == [
        "no such file or directory",
        "is a directory",
    ]


def test_a_file_that_only_others_may_read_is_named() -> None:
    needs.root()
    with home_of(NOBODY) as home:
        path = home / "train.log"
        path.write_bytes(SHM)
        path.chmod(0o600)
        os.chown(path, 0, 0)
        with acting_as(NOBODY), pytest.raises(UsageError, match=r"cannot read .*train\.log: permission denied"):
            scan.read([str(path)])


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        with pytest.raises(UsageError, match="cannot read"):
            scan.read([str(tmp_path / "s")])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_files_without_a_size_are_read() -> None:
    assert b"Name:" in b"".join(sources.pieces("/proc/self/status"))


def test_bytes_are_counted_as_they_lie_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.log.gz"
    path.write_bytes(gzip.compress(b"epoch 1\n" * 400_000))
    told: list[int] = []
    assert sum(map(len, sources.pieces(str(path), told.append))) == 8 * 400_000
    assert told[-1] == path.stat().st_size
    assert told == sorted(told)


@pytest.mark.parametrize("at", [9000, 400_000, 3_000_000])
def test_an_error_far_into_an_endless_line_is_found(at: int) -> None:
    (seen,) = read(b"epoch 1\n" + b"a " * (at // 2) + SHM + b" a" * 500_000).log.sightings
    assert seen.code == "shm-too-small"
    assert seen.place.line == 2
    assert "DataLoader worker (pid 2718)" in seen.quote


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device that does not end")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_a_device_that_does_not_end_is_told_as_one(device: str) -> None:
    with pytest.raises(UsageError, match=f"^{device} does not end and is no text") as refused:
        for _ in sources.pieces(device):
            pass
    assert refused.value.zh.startswith(f"{device} 没有结尾")


def test_a_line_of_a_pipe_that_does_not_end_is_given_up_and_lines_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "ENDLESS", 2 << 20)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write(text: bytes) -> None:
        with contextlib.suppress(BrokenPipeError), pipe.open("wb", buffering=0) as file:
            for _ in range(64):
                file.write(text)

    read: dict[bytes, scan.Reading] = {}
    for text in (b"a" * (1 << 17), b"a" * (1 << 16) + b"\n" + b"a" * (1 << 16)):
        writer = threading.Thread(target=write, args=(SHM + b"\n" + text if b"\n" in text else text,))
        writer.start()
        read[text] = scan.read([str(pipe)])
        writer.join()
    endless, lines = read.values()
    assert [str(error).partition(" and")[0] for error in endless.unread] == [f"{pipe} does not end"]
    assert endless.log.size_bytes < 4 << 20
    assert lines.unread == ()
    assert [seen.times for seen in lines.log.sightings] == [64]


def test_a_file_is_read_to_its_end_however_long_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ENDLESS", 2 << 20)
    assert lines_of(read(b"a" * (5 << 20) + b"\n" + SHM)) == [2]
