"""Over which interface a machine of a benchmark sends, as its own node tells."""

from __future__ import annotations

from collections.abc import Mapping

from envdoctor.facts.allreduce import AllreduceResult
from envdoctor.facts.nics import Nic, Nics


def interface(
    result: AllreduceResult, holder: str, nics: Mapping[str, object], index: int, rail: int | None
) -> Nic | None:
    """The interface of a member on a rail; None where its node was not examined, as those that others started by hand.

    Args:
        holder: the node that tells the result, which is that of `result.own` whatever it calls itself.
    """
    member = result.member(index)
    own = nics.get(holder if index == result.own else result.named(index))
    if not isinstance(own, Nics) or member is None:
        return None
    named = result.nic(index, rail)
    return own.nic(named) if named else own.owner(member.address)


def rated_gbit(nic: Nic | None) -> float | None:
    """What the hardware of an interface is rated for, Gbit/s; None where the kernel makes the number up."""
    return nic.speed_mbps / 1e3 if nic is not None and nic.speed_is_real and nic.speed_mbps else None
