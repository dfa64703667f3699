"""What an agent hears from the doctor that started it, and how the agents of one doctor find out where rank 0 is.

Standard input is the lifeline. Where a network lies between, its end may never arrive: there the doctor also sends an
empty line every second, and silence counts as the end. Streamed to every node; Python 3.6 syntax, standard library
only.
"""

import json
import os
import select

from envdoctor.bench import ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Tuple

    Record = Dict[str, Any]

GPU_FOLDER = "/proc/driver/nvidia/gpus"


def words(silent_s: float) -> "Iterator[Record]":
    """The doctor's words, until its end of the line is closed or, where `silent_s` is not 0, silent for so long."""
    buffer = b""
    while True:
        try:
            if silent_s and not select.select([0], [], [], silent_s)[0]:
                return
            data = os.read(0, 1 << 16)
        except OSError:
            return
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line.decode("ascii"))


def prepare(request: "Record") -> None:
    """Take over the variables that the doctor's environment sets for training, and count the ranks where the doctor
    leaves that to the node: one for each GPU that a process here may use, else one."""
    os.environ.update(request.get("environ") or {})
    if not request["nproc"]:
        request["nproc"] = visible_gpus(os.environ) or 1


def visible_gpus(variables: "Mapping[str, str]") -> int:
    """GPUs that a process here may use, without asking CUDA: what the driver lists, less what the mask leaves out."""
    try:
        present = len(os.listdir(GPU_FOLDER))
    except OSError:
        return 0
    mask = variables.get("CUDA_VISIBLE_DEVICES")
    if mask is None:
        return present
    listed = [entry for entry in mask.split(",") if entry.strip()]
    return len(listed) if any(entry.strip().startswith("MIG") for entry in listed) else min(present, len(listed))


def login() -> "Tuple[str, str]":
    """The addresses from which and at which the doctor logged in, as this machine sees them; "" and "" where it did
    not come over OpenSSH."""
    parts = os.environ.get("SSH_CONNECTION", "").split()
    if len(parts) != 4:
        return "", ""
    return parts[0].partition("%")[0], parts[2].partition("%")[0]


def own_address(towards: "List[str]", given: str) -> str:
    """The address at which the others reach this machine: the one from which its packets to them would start.

    Args:
        towards: addresses of the others. given: what the doctor calls this machine; taken where nothing else is known.
    """
    sources = [source for source in map(ways.source_to, towards) if source]
    sources += [login()[1]]
    usable = [source for source in sources if source and not is_loopback(source)]
    if not usable:
        return given
    return max(usable, key=usable.count)


def is_loopback(address: str) -> bool:
    return address.startswith(("127.", "::ffff:127.")) or address == "::1"
