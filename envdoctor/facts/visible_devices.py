"""What CUDA makes of CUDA_VISIBLE_DEVICES: its lenient parser, emulated; and what the writer probably meant.

The rules are those of the CUDA programming guide ("CUDA Environment Variables") and of torch's own emulation
(torch/cuda/__init__.py, `_parse_visible_devices` and `_transform_uuid_to_ordinals`), against which the tests hold it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"[+-]?[0-9]+")
# What people write for a comma: other separators, Chinese punctuation, blanks.
_SEPARATORS = re.compile(r"[;|\s\uff0c\u3001\uff1b]+")
_WRAPPING = "\"'`[](){}\u201c\u201d\u2018\u2019"


@dataclass(frozen=True)
class Selection:
    """What is left visible.

    Attributes:
        value: as written, None if the variable is not set: then every GPU is visible.
        elements: the value, split at commas.
        taken: the elements that count, as CUDA reads them: "0" of "0-3", UUIDs as written.
        devices: CUDA's ordinals of the GPUs they stand for, in order; None if that takes more than is known.
        fault: why the result is not what is written: "empty" (no value), "negative", "no-number", "no-such-device",
            "unknown-uuid", "ambiguous-uuid", "mixed" (numbers and UUIDs), "duplicate" (empties the list),
            "trailing" (text after a number is ignored), "one-mig" (CUDA uses one MIG device only), or "".
        culprit: the element at fault.
    """

    value: str | None = None
    elements: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    devices: tuple[int, ...] | None = None
    fault: str = ""
    culprit: str = ""

    @property
    def hides_all(self) -> bool:
        """Nothing is left of the list, so that CUDA finds no device."""
        return self.value is not None and not self.taken


def number(element: str) -> int | None:
    """The number an element starts with, as strtoul reads it; None if it starts with none."""
    found = _NUMBER.match(element.strip())
    return int(found.group()) if found else None


def select(value: str | None, count: int | None = None, uuids: Sequence[str] = ()) -> Selection:
    """Read the value of CUDA_VISIBLE_DEVICES the way CUDA does.

    Args:
        value: of the variable; None if it is not set.
        count: number of GPUs the driver knows, None if unknown: then no index is out of range.
        uuids: of these GPUs, in CUDA's order; without them a UUID is taken on trust.
    """
    if value is None:
        return Selection(devices=None if count is None else tuple(range(count)))
    elements = tuple(value.split(","))
    if not value.strip():
        return Selection(value, (), (), (), "empty")
    if value.startswith(("GPU-", "MIG-")):
        return _by_uuid(value, elements, uuids)
    return _by_number(value, elements, count)


def _by_number(value: str, elements: tuple[str, ...], count: int | None) -> Selection:
    taken: list[int] = []
    trailing = ""
    for place, element in enumerate(elements):
        ordinal = number(element)
        if ordinal is not None and ordinal in taken:
            return Selection(value, elements, (), (), "duplicate", element)
        fault = _why_not_a_device(element, ordinal, count)
        if fault:
            return _stopped(value, elements, place, fault, tuple(map(str, taken)), tuple(taken))
        assert ordinal is not None
        if not trailing and not _NUMBER.fullmatch(element.strip()):
            trailing = element
        taken.append(ordinal)
    return Selection(
        value, elements, tuple(map(str, taken)), tuple(taken), "trailing" if trailing else "", trailing.strip()
    )


def _why_not_a_device(element: str, ordinal: int | None, count: int | None) -> str:
    if ordinal is None:
        return "mixed" if element.strip().startswith(("GPU-", "MIG-")) else "no-number"
    if ordinal < 0:
        return "negative"
    return "no-such-device" if count is not None and ordinal >= count else ""


def _stopped(
    value: str,
    elements: tuple[str, ...],
    place: int,
    fault: str,
    taken: tuple[str, ...],
    devices: tuple[int, ...] | None,
) -> Selection:
    """The list ends before elements[place]. An end mark (-1 or nothing) after the last device takes nothing away."""
    culprit = elements[place].strip()
    rest = [element.strip() for element in elements[place + 1 :]]
    if taken and not any(rest) and (not culprit or fault == "negative"):
        fault = culprit = ""
    return Selection(value, elements, taken, devices, fault, culprit)


def _by_uuid(value: str, elements: tuple[str, ...], uuids: Sequence[str]) -> Selection:
    prefix = value[:4]
    known = [uuid for uuid in uuids if uuid.startswith(prefix)]
    taken: list[str] = []
    devices: list[int] = []
    for place, element in enumerate(elements):
        if element in taken:
            return Selection(value, elements, (), (), "duplicate", element)
        fault = "" if element.startswith(prefix) else "mixed" if element else "no-number"
        if not fault and known:
            matching = [index for index, uuid in enumerate(uuids) if uuid.startswith(element)]
            # The legacy name MIG-GPU-<uuid>/<gpu instance>/<compute instance> is none of NVML's UUIDs.
            if len(matching) != 1 and not element.startswith("MIG-GPU-"):
                fault = "ambiguous-uuid" if matching else "unknown-uuid"
            elif matching and matching[0] in devices:
                return Selection(value, elements, (), (), "duplicate", element)
            else:
                devices += matching
        if fault:
            return _stopped(value, elements, place, fault, tuple(taken), tuple(devices) if known else None)
        taken.append(element)
    if prefix == "MIG-" and len(taken) > 1:
        return Selection(value, elements, tuple(taken[:1]), tuple(devices[:1]) or None, "one-mig", taken[1])
    resolved = tuple(devices) if known and len(devices) == len(taken) else None
    return Selection(value, elements, tuple(taken), resolved)


def meant(value: str, count: int | None = None, uuids: Sequence[str] = ()) -> tuple[str, ...]:
    """The devices that the writer of a value probably meant: quotes and brackets off, ranges and other separators
    understood, devices that do not exist and repetitions left out; empty if nothing is left."""
    found: list[str] = []
    for word in _SEPARATORS.split(value.replace(",", " ")):
        word = word.strip(_WRAPPING)
        if word.startswith(("GPU-", "MIG-")):
            known = [uuid for uuid in uuids if uuid.startswith(word)]
            found += [word] if not uuids or len(known) == 1 else []
            continue
        name = re.fullmatch(r"(?:cuda:?|gpu:?)?(\d{1,4})(?:(?:-|\.\.|~|:)(\d{1,4}))?", word, re.I)
        if name:
            first, last = int(name.group(1)), int(name.group(2) or name.group(1))
            found += [str(ordinal) for ordinal in range(first, last + 1) if count is None or ordinal < count]
    return tuple(dict.fromkeys(found))
