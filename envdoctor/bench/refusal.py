"""What makes a run over several nodes hopeless, as the patient sees it there: no rung is to be waited for then."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envdoctor import judgement
from envdoctor.errors import UsageError
from envdoctor.facts.gpu import Gpus
from envdoctor.load import Loaded
from envdoctor.model import Severity
from envdoctor.snapshot import Snapshot

# Of these a collective fails or hangs, sooner or later and with words that do not tell why. What the ladder itself
# names at once (an interface, a port, a name, a torch that is not there) it may as well: lower rungs are still climbed.
OF_ALL = frozenset({"torch-version-mismatch", "duplicate-host-id"})
OF_NCCL = frozenset({
    "driver-hangs", "driver-library-mismatch", "driver-missing", "driver-too-old", "gpu-fell-off-bus",
    "gpu-arch-unsupported-new", "gpu-arch-unsupported-old", "fabric-manager-down", "nccl-version-mismatch",
    "nccl-env-mismatch", "nccl-net-plugin-broken", "ib-hca-wrong", "nccl-too-old-for-gpu",
})  # fmt: skip

# The codes that make a run hopeless, of the nodes' snapshots; raises UsageError for GPUs that are in use.
Refusal = Callable[[Sequence[Snapshot]], tuple[str, ...]]


def never(snapshots: Sequence[Snapshot]) -> tuple[str, ...]:
    """Refuse nothing: --force."""
    return ()


def of(loaded: Loaded, backend: str) -> Refusal:
    """What the checks refuse for a backend, "auto", "nccl" or "gloo"."""

    def refuse(snapshots: Sequence[Snapshot]) -> tuple[str, ...]:
        from envdoctor.bench import busy

        gpus = any(isinstance(fact, Gpus) and fact.gpus for one in snapshots for fact in one.sections.values())
        nccl = backend == "nccl" or (backend == "auto" and gpus)
        if nccl:
            told = [
                f"{snapshot.node.name}: {said}"
                for snapshot in snapshots
                if isinstance(fact := snapshot.sections.get("gpu"), Gpus)
                for said in busy.in_use(fact)
            ]
            if told:
                raise UsageError(
                    f"{'; '.join(told)}: measuring would disturb it and be slow; --force measures all the same",
                    f"{'；'.join(told)}：测量会干扰它且结果偏慢；--force 可强制测量",
                )
        wanted = OF_ALL | (OF_NCCL if nccl else frozenset())
        found = judgement.judge(snapshots, loaded).findings
        return tuple(dict.fromkeys(one.code for one in found if one.severity is Severity.ERROR and one.code in wanted))

    return refuse
