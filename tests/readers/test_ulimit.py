"""envdoctor/readers/ulimit.py, through whole texts."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes

OF_BASH = "core file size              (blocks, -c) 0\nmax locked memory           (kbytes, -l) {}\n"
OF_BASH += "open files                          (-n) {}\npipe size            (512 bytes, -p) 8\n"
OF_PROC = "Limit                     Soft Limit           Hard Limit           Units     \n"
OF_PROC += "Max locked memory         {0:<20} {0:<20} bytes     \n"
OF_PROC += "Max open files            {1:<20} 524288               files     \n"
DF = "Filesystem      Size  Used Avail Use% Mounted on\n{:<15} {:>5} {:>5} {:>5} {:>4} /dev/shm\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (OF_BASH.format(64, 1048576), {"memlock-limit": "note"}),
        (OF_BASH.format("unlimited", 256), {"too-many-open-files": "note"}),
        (OF_BASH.format(8192, 1024), {"memlock-limit": "note"}),
        (OF_BASH.format("unlimited", 1024), {}),
        (OF_PROC.format(65536, 1048576), {"memlock-limit": "note"}),
        (OF_PROC.format("unlimited", 1048576), {}),
        (DF.format("shm", "64M", "0", "64M", "0%"), {"shm-too-small": "warning"}),
        (DF.format("tmpfs", "32G", "32G", "0", "100%"), {"shm-too-small": "warning"}),
        (DF.format("tmpfs", "65536", "0", "65536", "0%"), {"shm-too-small": "warning"}),
        (DF.format("tmpfs", "252G", "1.1G", "251G", "1%"), {}),
        (DF.format("tmpfs", "263945796", "0", "263945796", "0%"), {}),
    ],
)
def test_limits(text: str, told: dict[str, str]) -> None:
    assert codes("$ ulimit -a\n" + text) == told


def test_an_error_line_makes_an_error_of_it() -> None:
    text = OF_BASH.format(64, 1048576) + "ibv_create_cq(cqe=4096) failed: Cannot allocate memory\n"
    assert codes(text) == {"memlock-limit": "error"}
