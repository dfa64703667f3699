"""Slurm: the nodes of the allocation around this process, the srun that reaches one of them, and its last words.

Every node gets a step of its own, of one task: its input and output are whole, as those of a login over ssh are, and a
node that cannot take part keeps no other from it.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping

from envdoctor.answering import which
from envdoctor.errors import UsageError
from envdoctor.facts import hostlist
from envdoctor.facts.reached import Reach
from envdoctor.transport.commands import MOST_SAID, apart, lacked_python, reached
from envdoctor.transport.hosts import NAME, Host

WAY = "srun"
TITLE = "Slurm (srun)"
OPTION = "--slurm"
# Ended by this, srun ends what runs on the node. Killed, it leaves that behind with an input that stays open: Slurm
# waits for an sattach.
END = signal.SIGTERM
BUSY_S = 15  # a step that gets no resources within this is given up; what else holds them is the job's own
OVERLAP = (20, 11)  # before, steps shared their node unless they asked for it alone; and srun refused the option
VERSION_S = 10.0

# What of a job's variables goes to srun: which job, where Slurm is, and who this is. The others are options of srun in
# disguise (SLURM_NTASKS_PER_NODE, SLURM_GPUS, SLURM_MEM_PER_CPU, SLURM_CPU_BIND, SLURM_EXPORT_ENV ...), meant for the
# tasks of the training: by their leave one task on one node would be refused, or would get a part of the node.
KEPT = re.compile(r"SLURM_(CONF(_.*)?|CLUSTERS?|CLUSTER_NAME|JOB_.*|JOBID|SUBMIT_.*|WORKING_CLUSTER|JWT|SACK_.*)")
OF_SLURM = ("SLURM_", "SRUN_")
# Said of the step by srun and slurmstepd to the task: our program is no rank of it, and numbers its own.
OF_STEP = (
    "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_GTIDS", "SLURM_TASK_PID", "SLURM_STEP_ID", "SLURM_STEPID",
    "SLURM_STEP_NODELIST", "SLURM_STEP_NUM_NODES", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", "SLURM_NTASKS",
    "SLURM_NPROCS", "SLURM_TASKS_PER_NODE", "SLURM_DISTRIBUTION", "SLURM_LAUNCH_NODE_IPADDR",
    # Of the login from which the job was submitted: on the node they would name another machine.
    "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY",
)  # fmt: skip
# Said of the step as well, in the words for the job: they get the job's values back.
OF_JOB = ("SLURM_JOB_NODELIST", "SLURM_JOB_NUM_NODES", "SLURM_NODELIST", "SLURM_NNODES")

# What happened, by srun's words, the first that fits; of Slurm 20.11 to 24.11 (slurm_errno.c, launch.c, step_launch.c,
# slurmstepd's req.c and mgr.c). Only lines of its own are read: a task may say anything.
OWN = re.compile(r"(srun|slurmstepd)\b[^ ]*: ")
WORDS = {
    "no-controller": (
        "Unable to contact slurm controller",
        "Unable to confirm allocation .*(timed out|connect|socket)",
        "Could not establish a configuration source",
        "Unable to process configuration file",
    ),
    "unauthenticated": (
        "Access/permission denied",
        "Invalid user id",
        "authentication",
        "munge",
        "Invalid job credential",
        "Job credential (expired|revoked)",
    ),
    "busy": (
        "Requested nodes are busy",
        "Memory required by task is not available",
        r"step creation \w+ disabled",
    ),
    "not-allocated": ("Requested node configuration is not available", "Invalid node name"),
    "node-down": ("Required node not available", "Node failure", "DUE TO NODE FAIL"),
    "job-over": (
        "Invalid job id",
        r"Slurm job \d+ has expired",
        "Expired or invalid job",
        "already completing or completed",
        "has been revoked",
        "has been cancell?ed",
        "CANCELLED AT",
    ),
    "no-slurmd": ("launch .*(Communication connection failure|Zero Bytes|timed out|No route|refused)",),
}
OUTCOMES = tuple((re.compile("|".join(words), re.IGNORECASE), outcome) for outcome, words in WORDS.items())
# What ended a task that was at work lies outside of it.
AT_WORK = ("job-over", "node-down")
# Said whether or not anything is wrong.
IDLE = re.compile(
    r"lacks support for cpu binding|couldn't chdir to|Job step aborted|forcing job termination|Check SLURM_JOB_ID"
)


def nodes(environ: Mapping[str, str]) -> tuple[Host, ...]:
    """The nodes of the allocation that the variables are of, in its order.

    Raises:
        UsageError: they are of none, or this process is one of the tasks of a step.
    """
    job, listed = environ.get("SLURM_JOB_ID", ""), environ.get("SLURM_JOB_NODELIST") or environ.get("SLURM_NODELIST")
    if not job or not listed:
        raise UsageError(
            "--slurm needs an allocation, and no SLURM_JOB_ID is set here; put the command into a batch script "
            "(sbatch), or in front of it: salloc -N 2",
            "--slurm 需要资源分配，而此处没有 SLURM_JOB_ID；请把命令写入批处理脚本（sbatch），或在前面加 salloc -N 2",
        )
    tasks = environ.get("SLURM_STEP_NUM_TASKS", "")
    if tasks.isdigit() and int(tasks) > 1:
        raise UsageError(
            f"--slurm starts every node itself, and here srun has started {tasks} tasks; leave one of the two out",
            f"--slurm 会自行启动每个节点，而 srun 已在此启动 {tasks} 个任务；请去掉其一",
        )
    try:
        names = hostlist.expand(listed)
    except hostlist.NoList as error:
        raise UsageError(f"SLURM_JOB_NODELIST={listed}: {error}", f"SLURM_JOB_NODELIST={listed}：{error.zh}") from None
    if not names or not all(NAME.fullmatch(name) for name in names):
        raise UsageError(
            f"SLURM_JOB_NODELIST={listed}: it is no list of nodes", f"SLURM_JOB_NODELIST={listed}：不是节点列表"
        )
    return tuple(Host(name) for name in names)


def argv(host: Host, line: str) -> tuple[str, ...]:
    """The command line that runs `line` on a node of the allocation, with our end as its input and output.

    Raises:
        UsageError: there is no srun here.
    """
    program = which("srun")
    if program is None:
        raise UsageError(
            "--slurm needs srun, which is not on PATH; load the module of Slurm or install slurm-client",
            "--slurm 需要 srun，但 PATH 中没有；请加载 Slurm 的 module 或安装 slurm-client",
        )
    told = [
        program, "--job-name=envdoctor", "--nodes=1", "--ntasks=1", f"--nodelist={host.name}", "--export=ALL",
        "--mpi=none", "--cpu-bind=none", "--mem=0", f"--immediate={BUSY_S}",
    ]  # fmt: skip
    if version(program) >= OVERLAP:
        told.append("--overlap")
    dropped = [name for name in os.environ if name.startswith(OF_SLURM) and not KEPT.fullmatch(name)]
    return (*_without(dropped), *told, "/bin/sh", "-c", _as_in_the_job(os.environ) + line)


def _without(names: list[str]) -> list[str]:
    return ["env", *(word for name in sorted(names) for word in ("-u", name))] if names else []


def _as_in_the_job(environ: Mapping[str, str]) -> str:
    """What a shell does first on the node: it takes back what the step says of itself."""
    back = [f"{name}={shlex.quote(environ[name])}" for name in OF_JOB if name in environ]
    gone = [*OF_STEP, *(name for name in OF_JOB if name not in environ)]
    return f"unset {' '.join(gone)}; " + (f"export {' '.join(back)}; " if back else "")


@functools.cache
def version(program: str) -> tuple[int, int]:
    """Year and month of Slurm's release, as (22, 5); where srun does not tell, that of a release long after OVERLAP."""
    try:
        told = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=VERSION_S
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    # "slurm 20.11.9"; Debian's says "slurm-wlm 22.05.8".
    found = re.search(r"slurm\S* (\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (99, 0)


def reach(host: Host, status: int | None, said: str, noise: str, heard: bool) -> Reach:
    """How a node was reached, from how srun to it ended; arguments as those of `envdoctor.transport.ssh.reach`."""
    said, tried = apart(said)
    outcome = _outcome(status, said)
    if heard and outcome not in AT_WORK:
        outcome = "ok"  # whatever ended it later is told by what was started itself
    words = _words(said)
    return reached(host, WAY, outcome, words, noise, status, heard, tried)


def _outcome(status: int | None, said: str) -> str:
    own = "\n".join(line for line in said.splitlines() if OWN.match(line))
    if status != 0:
        told = next((outcome for pattern, outcome in OUTCOMES if pattern.search(own)), None)
        if told is not None:
            return told
    if status is None:
        return "silent"
    if lacked_python(status, said):
        return "no-python"
    if status == 0:
        return "invalid"
    # With a status of its own srun has said an error; one that it hands on it tells of the task.
    return "not-executed" if re.search(r"task \d+: |execve", own) else "failed"


def _words(said: str) -> str:
    """The lines that tell: those of an outcome, else those that something is wrong with."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not IDLE.search(line)]
    telling = [line for line in lines if OWN.match(line) and any(pattern.search(line) for pattern, _ in OUTCOMES)]
    return "\n".join(telling or lines[-6:])[-MOST_SAID:]
