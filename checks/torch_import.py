"""What does `import torch` do, and if it fails: what around it is to blame?"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import replace

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check
from envdoctor.facts.allreduce import UNFIT, AllreduceResult
from envdoctor.facts.autopsy import ImportAutopsy, Trial
from envdoctor.facts.python import Python, name_of
from envdoctor.facts.torch import TorchImport, TorchInstall
from envdoctor.knowledge.installing import for_python, reinstall
from envdoctor.model import Scalar

TOPIC = Topic("torch", 66, Text("the import of torch", "torch 的导入"))

# What may make an import fail, the likeliest and the most certain first.
CAUSES = (
    "venv-broken",
    "python-does-not-start",
    "python-home-set",
    "torch-missing",
    "torch-leftover",
    "torch-shadowed",
    "python-module-shadowed",
    "nvidia-wheel-conflict",
    "library-path-pollution",
    "nccl-library-conflict",
    "nccl-library-missing",
    "cuda-library-missing",
    "glibc-too-old",
    "libstdcxx-too-old",
    "numpy-abi",
    "nvidia-wheel-pin",
)

_WHY = Text("a training script stops at its first line", "训练脚本在第一行就会停止")

_PROOF = Text(
    "{error}\nit works with one thing changed: `{proof}` ({change}: {was})",
    "{error}\n只改变一处就能导入：`{proof}`（{change}：{was}）",
)
# By what the trial changed, see `envdoctor.facts.autopsy.Trial`; every other one is a variable.
_CURED = {
    "cured": Situation(
        seen=_PROOF,
        help=Text(
            "start training without {change}, and remove what sets it: the shell's start-up files, an environment "
            "module, the job script",
            "请在不设置 {change} 的情况下启动训练，并去掉设置它的地方：shell 启动文件、环境 module 或作业脚本",
        ),
    ),
    "cwd": Situation(
        seen=_PROOF,
        help=Text(
            "a file in {was} takes the place of a module: rename it, or start training from another folder",
            "{was} 中有文件顶替了某个模块：请改名，或换一个目录启动训练",
        ),
    ),
    "combined": Situation(
        seen=Text(
            "{error}\nit works with everything around it left out: `{proof}`",
            "{error}\n去掉所有外部因素后即可导入：`{proof}`",
        ),
    ),
    "user-site": Situation(
        seen=_PROOF,
        help=Text(
            "a package in {was} takes the place of this environment's: remove it, or `export PYTHONNOUSERSITE=1`",
            "{was} 中的包顶替了本环境的包：请卸载它，或执行 `export PYTHONNOUSERSITE=1`",
        ),
    ),
}

IMPORT_FAILS = Problem(
    code="torch-import-fails",
    severity=Severity.ERROR,
    title=Text("`import torch` fails: {error}", "`import torch` 失败：{error}"),
    why=_WHY,
    seen=Text("{error}\nat {place}", "{error}\n位置：{place}"),
    confirm="{python} -c 'import torch'",
    caused_by=CAUSES,
    refs=("https://github.com/pytorch/pytorch/issues",),
    situations={
        **_CURED,
        "intrinsic": Situation(
            seen=Text(
                "{error}\nat {place}\nit fails as well without {left_out}: what is installed is at fault",
                "{error}\n位置：{place}\n去掉 {left_out} 后同样失败：问题出在已安装的内容本身",
            ),
        ),
        "module": Situation(
            title=Text(
                "`import torch` fails: the module `{module}`, which it needs, is not installed",
                "`import torch` 失败：缺少它所需的模块 `{module}`",
            ),
        ),
        "exits": Situation(
            title=Text("`import torch` ends the interpreter ({error})", "`import torch` 会直接结束解释器（{error}）"),
            seen=Text("{error}; last words: {said}", "{error}；最后的输出：{said}"),
        ),
        "bench": Situation(
            title=Text("`import torch` fails on {node}: {error}", "{node} 上 `import torch` 失败：{error}"),
            why=Text("its ranks cannot take part, and all others wait", "该节点的 rank 无法参与，其他 rank 都在等待"),
            seen=Text("{node}, {python}: {error}\nat {place}", "{node}，{python}：{error}\n位置：{place}"),
            look="envdoctor check torch   # on {node}",
        ),
    },
)

IMPORT_CRASHES = Problem(
    code="torch-import-crashes",
    severity=Severity.ERROR,
    title=Text("`import torch` dies of {signal}", "`import torch` 因 {signal} 崩溃"),
    why=_WHY,
    seen=Text("{signal} at {place}\nlast words: {said}", "{signal}，位置：{place}\n最后的输出：{said}"),
    confirm="{python} -X faulthandler -c 'import torch'",
    caused_by=(*CAUSES[4:], "extension-abi-mismatch", "host-out-of-memory"),
    situations={
        **_CURED,
        "illegal": Situation(
            help=Text(
                "the binary uses instructions that this processor lacks; take a build for it, or another machine",
                "二进制使用了本机 CPU 不支持的指令；请换用适合此 CPU 的构建，或换一台机器",
            ),
        ),
        "bench": Situation(
            title=Text("`import torch` dies of {signal} on {node}", "{node} 上 `import torch` 因 {signal} 崩溃"),
            why=Text("its ranks cannot take part, and all others wait", "该节点的 rank 无法参与，其他 rank 都在等待"),
            seen=Text(
                "{node}, {python}: {signal}; last words: {said}", "{node}，{python}：{signal}；最后的输出：{said}"
            ),
            look="envdoctor check torch   # on {node}",
        ),
        "killed": Situation(
            help=Text(
                "somebody killed it: most often the kernel or the control group, for lack of memory (`dmesg | tail`)",
                "进程被杀死：多半是内核或 cgroup 因内存不足所为（`dmesg | tail`）",
            ),
        ),
        "fault": Situation(
            help=Text(
                "a compiled library is damaged or does not fit the others; the stack names the one that was loading",
                "某个编译的库已损坏或与其他库不匹配；调用栈指出了当时正在加载的那个",
            ),
        ),
    },
)

IMPORT_HANGS = Problem(
    code="torch-import-hangs",
    severity=Severity.ERROR,
    title=Text("`import torch` hangs at {place}", "`import torch` 卡在 {place}"),
    why=Text("a training script never gets beyond its first line", "训练脚本永远停在第一行"),
    seen=Text(
        "no CPU time used and no byte moved for 3 s and more when it was stopped\nat {place}",
        "被停止时，已至少 3 秒没有消耗 CPU 时间，也没有任何读写\n位置：{place}",
    ),
    confirm="timeout -s INT 60 {python} -v -c 'import torch' 2>&1 | tail",
    caused_by=("filesystem-hangs", "driver-hangs", "python-module-shadowed", "torch-shadowed"),
    situations={
        "kernel": Situation(
            title=Text("`import torch` hangs in the kernel ({wchan})", "`import torch` 卡在内核中（{wchan}）"),
            seen=Text(
                "it outlived SIGKILL, waiting in {wchan} (/proc/PID/wchan)\nat {place}",
                "SIGKILL 也无法结束它，正等待于 {wchan}（/proc/PID/wchan）\n位置：{place}",
            ),
            help=Text(
                "a driver or a network file system does not answer: `dmesg | tail`, `df` on the folders of sys.path",
                "驱动或网络文件系统没有响应：请查看 `dmesg | tail`，并对 sys.path 中的目录执行 `df`",
            ),
        ),
    },
)

IMPORT_UNFINISHED = Problem(
    code="torch-import-unfinished",
    severity=Severity.NOTE,
    title=Text("`import torch` had not finished when the time was up", "时间用完时 `import torch` 仍未完成"),
    why=Text(
        "whether it hangs or is slow is not known: the first import from a network file system may take minutes",
        "尚不清楚是卡住还是缓慢：首次从网络文件系统导入可能需要几分钟",
    ),
    seen=Text("when the time was up it stood at {place}", "时间用完时停在：{place}"),
    command="envdoctor check --timeout 300",
    confirm="time {python} -c 'import torch'",
    situations={
        "bench": Situation(
            title=Text(
                "`import torch` had not finished on {node} after {seconds:.0f} s",
                "{node} 上的 `import torch` 在 {seconds:.0f} 秒后仍未完成",
            ),
            seen=Text("{node}, {python}: ranks {ranks} gave no answer", "{node}，{python}：rank {ranks} 没有应答"),
            look="time {quoted} -c 'import torch'   # on {node}",
            severity=Severity.ERROR,
        ),
    },
)

FRAME = re.compile(r'File "([^"]+)", line (\d+)')
STACK_LINE = r'File "|Fatal Python error|Current thread|Thread 0x|Extension modules|Stack \(|<no Python frame>|\.\.\.'
MEANINGS = {"SIGILL": "illegal", "SIGKILL": "killed"}


def place_of(text: str) -> str:
    """ "file:line" of the innermost frame of a stack that belongs to a file, "an unknown place" without one."""
    frames = [found for found in FRAME.findall(text) if not found[0].startswith("<")]
    # faulthandler writes the innermost frame first; see `trace_place` for tracebacks, which write it last.
    return ":".join(frames[0]) if frames else "?"


def last_words(said: str) -> str:
    """The last line of an output that is no line of a stack: what a C++ library says before it aborts. "-" if none."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = [line for line in lines if not re.match(STACK_LINE, line)]
    return words[-1][:300] if words else "-"


def trace_place(trace: Iterable[str]) -> str:
    """ "file:line" of the last frame of a traceback."""
    frames = [found for line in trace for found in FRAME.findall(line)]
    return ":".join(frames[-1]) if frames else "?"


def _cured(problem: Problem, trial: Trial, **evidence: Scalar) -> Finding:
    """The finding with its proof, mended by the very command that proved it."""
    situation = trial.change if trial.change in problem.situations else "cured"
    if trial.change == "all":
        situation = "combined"
    change = {"cwd": "sys.path[0]", "user-site": "site.USER_SITE"}.get(trial.change, trial.change)
    found = problem.found(situation, **evidence, proof=trial.command, change=change, was=trial.was)
    return found.mended_by(trial.command)


def _left_out(autopsy: ImportAutopsy) -> str:
    """What the trial of everything at once went without, in notation."""
    return ", ".join(["sys.path[0]", *(trial.change for trial in autopsy.trials if trial.change not in ("all", "cwd"))])


def _mended(torch: TorchInstall | None, loaded: TorchImport, python: Python | None) -> str | None:
    """A command where one certainly helps: a module that is absent, or a torch that lacks a module of its own."""
    own = loaded.missing_module.partition(".")[0]
    if not own:
        return None
    if own != "torch":
        return for_python(f"python -m pip install {own.replace('_', '-')}", python, torch)
    return reinstall(torch, python)


@check(IMPORT_FAILS)
def torch_import_fails(
    loaded: TorchImport | Missing,
    autopsy: ImportAutopsy | None,
    python: Python | None,
    torch: TorchInstall | None,
) -> Iterable[Finding]:
    """It raises, or ends the interpreter by itself."""
    cure = autopsy.cure if autopsy else None
    if isinstance(loaded, Missing):
        status, _, said = loaded.detail.partition("\n")
        if loaded.reason != "failed" or not status.startswith("ended with exit status"):
            return
        evidence: dict[str, Scalar] = {"error": status, "python": name_of(python), "place": place_of(said)}
        if cure:
            yield _cured(IMPORT_FAILS, cure, **evidence)
        else:
            yield IMPORT_FAILS.found("exits", **evidence, said=last_words(said))
        return
    if not loaded.error:
        return
    first_line = loaded.message.strip().partition("\n")[0][:300]
    evidence = {
        "error": f"{loaded.error}: {first_line}" if first_line else loaded.error,
        "place": trace_place(loaded.trace),
        "python": name_of(python),
    }
    if cure:
        yield _cured(IMPORT_FAILS, cure, **evidence)
    elif loaded.missing_module and not loaded.missing_module.startswith("torch."):
        found = IMPORT_FAILS.found("module", **evidence, module=loaded.missing_module)
        yield found.mended_by(_mended(torch, loaded, python))
    elif autopsy and autopsy.intrinsic:
        found = IMPORT_FAILS.found("intrinsic", **evidence, left_out=_left_out(autopsy))
        yield found.mended_by(_mended(torch, loaded, python))
    else:
        yield IMPORT_FAILS.found(**evidence).mended_by(_mended(torch, loaded, python))


@check(IMPORT_CRASHES)
def torch_import_crashes(
    loaded: TorchImport | Missing, autopsy: ImportAutopsy | None, python: Python | None
) -> Iterable[Finding]:
    """A signal ended it."""
    if not isinstance(loaded, Missing) or loaded.reason != "crashed":
        return
    signal, _, stack = loaded.detail.partition("\n")
    evidence: dict[str, Scalar] = {
        "signal": signal, "place": place_of(stack), "python": name_of(python), "said": last_words(stack)
    }  # fmt: skip
    cure = autopsy.cure if autopsy else None
    if cure:
        error = f"{signal}, {evidence['place']}"
        yield _cured(IMPORT_CRASHES, cure, **evidence, error=error)
    else:
        yield IMPORT_CRASHES.found(MEANINGS.get(signal, "fault"), **evidence)


@check(IMPORT_FAILS, IMPORT_CRASHES, IMPORT_UNFINISHED)
def torch_import_in_a_benchmark(result: AllreduceResult) -> Iterable[Finding]:
    """On whatever node: the ranks that a benchmark started there import torch first of all. Where torch is absent,
    checks/torch.py tells."""
    for failure in result.on("torch"):
        member = result.member(failure.member)
        node, where = result.named(failure.member), (member.python if member else "") or "python"
        evidence: dict[str, Scalar] = {"node": node, "python": where, "quoted": shlex.quote(where)}
        said = last_words(failure.said)
        if failure.how == "raised" and failure.kind not in ("", *UNFIT) and not failure.absent:
            first = failure.error.strip().partition("\n")[0][:300]
            error = f"{failure.kind}: {first}" if first else failure.kind
            found = IMPORT_FAILS.found("bench", **evidence, error=error, place=failure.place or None)
        elif failure.how == "died" and failure.signal != "SIGKILL" and failure.signal:
            found = IMPORT_CRASHES.found("bench", **evidence, signal=failure.signal, said=said)
        elif failure.how == "died" and not failure.signal:
            ended = f"exit status {failure.status}; {said}"
            found = IMPORT_FAILS.found("bench", **evidence, error=ended, place=None)
        elif failure.how == "silent":
            ranks = ", ".join(str(rank) for rank in failure.ranks)
            found = IMPORT_UNFINISHED.found("bench", **evidence, seconds=failure.seconds, ranks=ranks)
        else:
            continue
        yield replace(found, nodes=(node,))


@check(IMPORT_HANGS, IMPORT_UNFINISHED)
def torch_import_does_not_end(loaded: TorchImport | Missing, python: Python | None) -> Iterable[Finding]:
    """It stood still at its limit, or was still at work."""
    if not isinstance(loaded, Missing):
        return
    if loaded.reason == "hung":
        stuck = re.match(r"stuck in (\S+)", loaded.detail)
        yield IMPORT_HANGS.found(
            "kernel" if stuck else None, place=place_of(loaded.detail), python=name_of(python),
            wchan=stuck.group(1) if stuck else None,
        )  # fmt: skip
    elif loaded.reason == "slow":
        yield IMPORT_UNFINISHED.found(place=place_of(loaded.detail), python=name_of(python))
