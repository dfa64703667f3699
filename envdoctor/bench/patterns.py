"""Tensors whose sum over all ranks is known exactly, in every dtype, and what a wrong sum says about who is to blame.

Element i is given by rank i modulo n alone, as a whole number from 1 to 127; the others add 0. So the sum is exact even
in bfloat16, which holds whole numbers up to 256, whatever n is, and an element that is missing or doubled names the
rank that gave it. Streamed to every node; Python 3.6 syntax, standard library only (torch is handed in).
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

CYCLE = 127  # a prime: neighbours, and the same place in another buffer, differ
MOST_TOLD = 8


def expected(torch: "Any", count: int, dtype: "Any", device: "Any", turn: int) -> "Any":
    """The sum over all ranks. `turn` moves the pattern on, so that a stale buffer shows."""
    once = ((torch.arange(CYCLE, device=device, dtype=torch.int64) + turn) % CYCLE + 1).to(dtype)
    return once.repeat(-(-count // CYCLE))[:count].contiguous()


def given(torch: "Any", whole: "Any", rank: int, world_size: int) -> "Any":
    """What one rank gives of that sum."""
    part = torch.zeros_like(whole)
    part[rank::world_size] = whole[rank::world_size]
    return part


def differences(torch: "Any", result: "Any", whole: "Any", world_size: int) -> "Optional[Dict[str, Any]]":
    """None where all is right, else how many elements are wrong and whose they are.

    Returns: "wrong"; "owners": rank -> wrong elements that it gave; "first": index, value and what it should be.
    """
    # NaN differs from everything, itself included.
    bad = (result != whole).nonzero().flatten()
    wrong = int(bad.numel())
    if not wrong:
        return None
    owners = torch.bincount((bad % world_size).cpu(), minlength=world_size)
    listed: "List[int]" = [int(count) for count in owners.tolist()]
    at = int(bad[0])
    return {
        "wrong": wrong, "owners": {str(rank): count for rank, count in enumerate(listed) if count},
        "first": {"index": at, "value": float(result[at]), "expected": float(whole[at])},
    }  # fmt: skip
