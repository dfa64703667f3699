"""Reads training scripts by their syntax tree, without running them: how they take their rank and their GPU.

What a script does depends on code elsewhere, so nothing here is an error.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from envdoctor.facts.log import Place, Sighting, Value
from envdoctor.readers.script_tree import LOCAL, Script, dotted, keyword, letters, spawns

# What starts ranks and chooses their GPUs by itself: a script that uses it leaves that out rightly.
FRAMEWORKS = frozenset(
    (
        "accelerate", "lightning", "pytorch_lightning", "lightning_fabric", "transformers", "trl", "deepspeed",
        "ignite", "mmengine", "mmcv", "ray", "horovod", "composer", "torchtitan", "megatron", "colossalai",
        "fastai", "torch_xla", "bagua", "catalyst",
    )
)  # fmt: skip
# Calls that initialise CUDA, which reads the mask then and never again. is_available and device_count are left out:
# with PYTORCH_NVML_BASED_CUDA_CHECK, and since torch 2.0 for device_count, they ask NVML (torch/cuda/__init__.py).
TOUCHES = frozenset(
    (
        "torch.cuda.set_device", "torch.cuda.current_device", "torch.cuda.get_device_name", "torch.cuda.init",
        "torch.cuda.synchronize", "torch.cuda.get_device_properties", "torch.cuda.get_device_capability",
        "torch.cuda.mem_get_info",
    )
)  # fmt: skip
MOST = 40
# In a line. Python before 3.12 parses an f-string in time that grows with the square of its holes.
MOST_HOLES = 4000
TORCH = re.compile(r"^\s*(?:import|from) [^\n]{0,100}\btorch\b", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """A place in a script: code and situation of its words, line counted from 1."""

    code: str
    situation: str
    line: int
    severity: str = "warning"
    values: tuple[tuple[str, str], ...] = ()


class Scripts:
    """Python files that import torch, by name or by what a piped text begins with."""

    def accepts(self, name: str, head: str) -> bool:
        if name.endswith((".py", ".pyw")):
            return True
        first = head.lstrip("\ufeff\n\r ").partition("\n")[0]
        if not first.startswith(("import ", "from ", "#!", '"""', "# -*-", "'''", "#")):
            return False
        if not TORCH.search(head):
            return False
        whole = head
        if len(head) >= 4000:
            # The head ends anywhere: what stands before the last line without indentation is complete.
            lines = head.split("\n")
            last = max(
                (at for at, line in enumerate(lines) if line and not line[0].isspace() and line[0] not in ")]}#"),
                default=0,
            )
            whole = "\n".join(lines[:last])
        return _tree(whole) is not None

    def read(self, name: str, text: str) -> tuple[Mapping[str, object], Iterable[Sighting]] | None:
        tree = _tree(text)
        if tree is None:
            return ({}, ()) if name.endswith((".py", ".pyw")) else None
        lines = text.split("\n")
        return {}, [_sighting(fault, name, lines) for fault in sorted(faults(tree), key=lambda one: one.line)[:MOST]]


def _tree(text: str) -> ast.Module | None:
    if any(line.count("{") > MOST_HOLES for line in text.split("\n")):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange escapes in strings
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _sighting(fault: Fault, name: str, lines: list[str]) -> Sighting:
    quote = lines[fault.line - 1].strip()[:400] if 0 < fault.line <= len(lines) else ""
    values = tuple(Value(key, told[:200]) for key, told in fault.values)
    return Sighting(
        f"{fault.code}:{fault.situation}",
        fault.code,
        "root",
        fault.severity,
        quote,
        Place(name, fault.line),
        values=values,
    )


def faults(tree: ast.Module) -> Iterator[Fault]:
    """What the script does that works by accident or on one node only."""
    script = Script(tree)
    yield from _ranks(script)
    yield from _devices(script)
    yield from _late_mask(script)
    yield from _parser(script)
    yield from _settings(script)


def _ranks(script: Script) -> Iterator[Fault]:
    """A rank within the node where that of the job belongs, and the other way round."""
    spawned = spawns(script)
    for call in script.called("init_process_group"):
        method = letters(keyword(call, "init_method", 1))
        rank, size = keyword(call, "rank"), keyword(call, "world_size")
        if rank is not None and script.means(rank) == "local" and not spawned:
            yield Fault("script-rank-wrong", "passed-as-rank", call.lineno)
        if size is not None and script.means(size) == "gpus" and not spawned:
            yield Fault("script-rank-wrong", "world-size-is-gpu-count", call.lineno)
        scheme = method.partition("://")[0]
        if scheme in ("tcp", "file") and "?" not in method and not any(one.arg is None for one in call.keywords):
            missing = [name for name, value in (("rank", rank), ("world_size", size)) if value is None]
            if missing and len(call.args) < 4:
                yield Fault("launch-env-missing", "tcp", call.lineno,
                            values=(("scheme", f"{scheme}://"), ("missing", " and ".join(missing))))  # fmt: skip
    for call in script.called("DistributedSampler"):
        rank = keyword(call, "rank", 2)
        if rank is not None and script.means(rank) == "local":
            yield Fault("script-rank-wrong", "local-as-sampler-rank", call.lineno)
    for call in script.called("cuda.set_device"):
        if call.args and script.means(call.args[0]) == "global" and not spawned:
            yield Fault("script-rank-wrong", "global-as-device", call.lineno)
    for call in script.called("torch.device"):
        device = call.args[1] if len(call.args) > 1 else None
        if device is not None and script.means(device) == "global" and not spawned:
            yield Fault("script-rank-wrong", "global-as-device", call.lineno)


def _uses_nccl(script: Script) -> ast.Call | None:
    for call in script.called("init_process_group"):
        backend = letters(keyword(call, "backend", 0)).lower()
        if "nccl" in backend:
            return call
    return None


def _devices(script: Script) -> Iterator[Fault]:
    """Ranks that are left on cuda:0."""
    group = _uses_nccl(script)
    if group is None or script.imported & FRAMEWORKS:
        return
    chooses = (
        any(True for _ in script.called("cuda.set_device", "set_device_index", "accelerator.set_device_index"))
        or keyword(group, "device_id") is not None
        or "CUDA_VISIBLE_DEVICES" in script.mentions
    )
    fixed = None
    for written, call in script.calls:
        name = script.name(written)
        if (name == "torch.device" or written.endswith(".to")) and call.args and letters(call.args[0]) in ("cuda:0",):
            fixed = fixed or (call.lineno, "cuda:0")
        if (
            name.endswith("cuda.set_device")
            and call.args
            and isinstance(call.args[0], ast.Constant)
            and call.args[0].value == 0
        ):
            yield Fault("script-device-unset", "fixed-device", call.lineno, values=(("device", "cuda:0"),))
            return
    by_rank = _device_by_rank(script)
    if fixed is not None and not by_rank:
        yield Fault("script-device-unset", "fixed-device", fixed[0], values=(("device", fixed[1]),))
    elif not chooses and not by_rank and _touches_gpu(script):
        yield Fault("script-device-unset", "no-device", group.lineno)


def _device_by_rank(script: Script) -> bool:
    """Whether a device is made of a variable: f"cuda:{x}", torch.device("cuda", x), .cuda(x), device_ids=[x]."""
    for written, call in script.calls:
        last = written.rpartition(".")[2]
        first = call.args[0] if call.args else None
        if script.name(written) == "torch.device" and (
            len(call.args) > 1 or isinstance(first, (ast.Name, ast.JoinedStr, ast.BinOp, ast.Call))
        ):
            return True
        if last == "cuda" and first is not None and not isinstance(first, ast.Constant):
            return True
        if last == "to" and isinstance(first, (ast.JoinedStr, ast.BinOp)):
            return True
        if last == "to" and first is not None and _is_rank(dotted(first)):
            return True
        ids = keyword(call, "device_ids")
        if isinstance(ids, ast.List) and ids.elts and not isinstance(ids.elts[0], ast.Constant):
            return True
    return any(
        isinstance(value, (ast.JoinedStr, ast.BinOp)) and "cuda" in ast.dump(value) for _, value, _ in script.assigned
    )


def _is_rank(name: str) -> bool:
    return name.rpartition(".")[2] in (*LOCAL, "rank", "gpu", "device_id", "gpu_id")


def _touches_gpu(script: Script) -> bool:
    for written, call in script.calls:
        first = letters(call.args[0]) if call.args else ""
        if written.endswith(".cuda") and not call.args:
            return True
        if (written.endswith(".to") or script.name(written) == "torch.device") and first == "cuda":
            return True
        if letters(keyword(call, "device")) == "cuda":
            return True
    return False


def _late_mask(script: Script) -> Iterator[Fault]:
    """CUDA_VISIBLE_DEVICES is set below a call that initialises CUDA."""
    set_at = list(_sets_mask(script))
    if not set_at:
        return
    touched = [
        call.lineno
        for written, call in script.calls
        if script.name(written) in TOUCHES
        or (written.endswith(".cuda") and not script.name(written).startswith("torch."))
    ]
    first = min(touched, default=None)
    if first is not None and min(set_at) > first:
        yield Fault("script-visible-devices-late", "after-cuda", min(set_at), values=(("first", str(first)),))


def _sets_mask(script: Script) -> Iterator[int]:
    for call in script.called("environ.update", "environ.setdefault", "putenv"):
        if any(letters(node) == "CUDA_VISIBLE_DEVICES" for node in ast.walk(call) if isinstance(node, ast.Constant)):
            yield call.lineno
    yield from (line for name, _, line in script.environment_set if name == "CUDA_VISIBLE_DEVICES")


def _parser(script: Script) -> Iterator[Fault]:
    """A parser that knows one spelling of the local rank only, in a script that does not read the environment."""
    if "LOCAL_RANK" in script.mentions or script.imported & (FRAMEWORKS - {"transformers"}):
        return
    for call in script.called("add_argument"):
        names = [letters(one) for one in call.args]
        ranks = [name for name in names if name in ("--local_rank", "--local-rank")]
        if len(ranks) == 1:
            yield Fault("local-rank-argument", "parser", call.lineno, values=(("option", ranks[0]),))
            return


def _settings(script: Script) -> Iterator[Fault]:
    """cuDNN's switches and those for debugging."""
    on: dict[str, int] = {}
    for target, value, line in script.assigned:
        full = script.name(target)
        for name in ("deterministic", "benchmark"):
            if full.endswith("cudnn." + name) and isinstance(value, ast.Constant):
                if value.value is True:
                    on[name] = line
                else:
                    on.pop(name, None)
    if "deterministic" in on and "benchmark" in on:
        yield Fault("determinism-slow", "benchmark-and-deterministic", on["benchmark"], "note")
    elif "deterministic" in on:
        yield Fault("determinism-slow", "deterministic", on["deterministic"], "note")
    for name in ("use_deterministic_algorithms", "set_deterministic_debug_mode"):
        for call in script.called(name):
            if (
                call.args
                and isinstance(call.args[0], ast.Constant)
                and call.args[0].value in (True, 1, 2, "warn", "error")
            ):
                yield Fault("determinism-slow", "deterministic", call.lineno, "note")
    for call in script.called("set_detect_anomaly", "autograd.detect_anomaly"):
        if not (call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value is False):
            yield Fault("determinism-slow", "blocking", call.lineno, "note", (("name", "autograd.set_detect_anomaly"),))
    for key, value, line in script.environment_set:
        if key == "CUDA_LAUNCH_BLOCKING" and letters(value) == "1":
            yield Fault("determinism-slow", "blocking", line, "note", (("name", "CUDA_LAUNCH_BLOCKING=1"),))
