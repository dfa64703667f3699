"""Can training write its checkpoints, caches and temporary files?"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.disks import Disks, Place
from envdoctor.model import Scalar

TOPIC = Topic("disk", 440, Text("file systems that training writes to", "训练写入的文件系统"))

GB = 1_000_000_000
# Without 100 MB, torch.compile and multiprocessing cannot make their temporary files; a checkpoint of a small model
# takes some hundred MB. gcm warns at 80 % and fails at 85 %, which large disks pass in good health: a share counts here
# only below 10 GB free.
NOTHING_LEFT = GB // 10
LITTLE_LEFT = GB
LOW, LOW_SHARE = 10 * GB, 0.05
WRITTEN_ANYWAY = ("working-directory", "home", "temporary")
COMPILED = ("torch-extensions", "triton", "inductor", "temporary")

DISK_FULL = Problem(
    code="disk-full",
    severity=Severity.WARNING,
    title=Text(
        "{free_gb:.2f} GB are free on {mount}, which holds {path}", "{path} 所在的 {mount} 仅剩 {free_gb:.2f} GB"
    ),
    why=Text(
        "checkpoints, downloads or compiled kernels end with `No space left on device`",
        "保存检查点、下载或编译内核时会报 `No space left on device`",
    ),
    seen=Text(
        "{path} ({use}): {free_gb:.2f} of {size_gb:.1f} GB free (statvfs), {file_system} on {mount}",
        "{path}（{use}）：{size_gb:.1f} GB 中剩余 {free_gb:.2f} GB（statvfs），{mount} 上的 {file_system}",
    ),
    help=Text("what is largest there is listed by the command", "下列命令会列出其中占用最多的目录"),
    look="du -xh --max-depth=2 {quoted} 2>/dev/null | sort -h | tail -20",
    confirm="df -h . ~ /tmp",
    situations={
        "inodes": Situation(
            title=Text(
                "{free_files} {free_files:inode is|inodes are} free on {mount}", "{mount} 仅剩 {free_files} 个 inode"
            ),
            why=Text(
                "no new file can be made, though there is room: `No space left on device`",
                "虽有空间却无法新建文件：`No space left on device`",
            ),
            seen=Text(
                "{path} ({use}): {free_files} of {files} inodes free (statvfs)",
                "{path}（{use}）：{files} 个 inode 中剩余 {free_files} 个（statvfs）",
            ),
            look="df -i {quoted}",
            help=Text(
                "many small files are there: caches, logs, unpacked data sets",
                "其中有大量小文件：缓存、日志或解压后的数据集",
            ),
        ),
        "temporary": Situation(
            help=Text("or choose another folder for temporary files", "或改用其他临时目录"),
            command="export TMPDIR=$HOME/tmp && mkdir -p $TMPDIR",
        ),
        "not-writable": Situation(
            title=Text("{path} cannot be written to by this user", "当前用户无法写入 {path}"),
            why=Text(
                "what training keeps there ({use}) fails with `Permission denied` or `Read-only file system`",
                "训练写入该处（{use}）时会报 `Permission denied` 或 `Read-only file system`",
            ),
            seen=Text(
                "access({path}, W_OK) fails; {file_system} on {mount}",
                "access({path}, W_OK) 失败；{mount} 上的 {file_system}",
            ),
            help=Text("name a folder that can be written to", "请指定可写的目录"),
            command="export {variable_to_set}=/path/that/can/be/written",
        ),
        "absent": Situation(
            title=Text("{variable} names {path}, which does not exist", "{variable} 指定的 {path} 不存在"),
            why=Text(
                "Python quietly uses /tmp instead, other programs fail",
                "Python 会悄悄改用 /tmp，其他程序则会失败",
            ),
            seen=Text("environment: {variable}={path}", "环境变量：{variable}={path}"),
            help=Text("jobs often name a folder of another node", "作业常常指定了其他节点上的目录"),
            command="mkdir -p {quoted}",
        ),
    },
)

FILESYSTEM_NOEXEC = Problem(
    code="filesystem-noexec",
    severity=Severity.WARNING,
    title=Text("nothing may be executed from {path}", "{path} 禁止执行文件"),
    why=Text(
        "compiled kernels cannot be loaded from there: `failed to map segment from shared object`",
        "编译出的内核无法从该处加载：`failed to map segment from shared object`",
    ),
    seen=Text("{mount} is mounted noexec (/proc/self/mountinfo)", "{mount} 以 noexec 挂载（/proc/self/mountinfo）"),
    help=Text("name a folder on another file system", "请指定另一文件系统上的目录"),
    command="export {variable_to_set}=$HOME/.cache/{use}",
    confirm="findmnt -T /tmp -o TARGET,OPTIONS",
)

FILESYSTEM_HANGS = Problem(
    code="filesystem-hangs",
    severity=Severity.ERROR,
    title=Text("{path} does not answer", "{path} 没有应答"),
    why=Text(
        "every process that touches it stops, cannot be killed, and the ranks of other nodes wait for it",
        "任何访问它的进程都会停住且无法杀死，其他节点的 rank 也只能等待",
    ),
    seen=Text(
        "statvfs({path}) ({use}): no answer within 2.5 s; {file_system} from {source} on {mount}",
        "statvfs({path})（{use}）：2.5 秒内无应答；{mount} 上的 {file_system}，来自 {source}",
    ),
    help=Text(
        "is its server reachable from this node? A look may hang as well",
        "请确认本节点能否到达其服务器；查看该目录的命令也可能挂起",
    ),
    look="timeout -s KILL 5 stat -f {quoted}",
    confirm="timeout -s KILL 5 stat -f ~",
)

# The variable that moves what is written; home and the working directory have none.
VARIABLES = {
    "home": "HF_HOME",
    "temporary": "TMPDIR",
    "pip-cache": "PIP_CACHE_DIR",
    "huggingface": "HF_HOME",
    "torch-hub": "TORCH_HOME",
    "torch-extensions": "TORCH_EXTENSIONS_DIR",
    "triton": "TRITON_CACHE_DIR",
    "inductor": "TORCHINDUCTOR_CACHE_DIR",
}


def _evidence(place: Place) -> dict[str, Scalar]:
    return {
        "path": place.path,
        "quoted": shlex.quote(place.path),
        "use": place.use,
        "variable": place.variable or None,
        "variable_to_set": VARIABLES.get(place.use),
        "mount": place.mount_point or None,
        "file_system": place.file_system or None,
        "source": place.source or None,
        "free_gb": None if place.free_bytes is None else place.free_bytes / GB,
        "size_gb": None if place.size_bytes is None else place.size_bytes / GB,
        "files": place.files,
        "free_files": place.free_files,
    }


@check(DISK_FULL)
def disk_full(disks: Disks) -> Iterable[Finding]:
    """Each file system once, by the first folder on it; folders that cannot be written to one by one."""
    told: set[str] = set()
    for place in disks.places:
        if not place.answers or place.size_bytes is None or place.free_bytes is None:
            continue
        if not place.writable or place.read_only:
            yield from _not_writable(place)
        elif place.mount_point not in told:
            finding = _short_of_room(place, place.free_bytes, place.size_bytes)
            if finding is not None:
                told.add(place.mount_point)
                yield finding
        if place.use == "temporary" and place.variable and not place.exists:
            yield DISK_FULL.found("absent", **_evidence(place))


def _short_of_room(place: Place, free: int, size: int) -> Finding | None:
    situation = "temporary" if place.use == "temporary" else None
    if (
        place.files
        and place.free_files is not None
        and place.free_files < 1000
        and place.free_files < place.files * 0.01
    ):
        return DISK_FULL.found("inodes", **_evidence(place)).at(
            Severity.ERROR if place.free_files == 0 else Severity.WARNING
        )
    if free < NOTHING_LEFT and place.use in WRITTEN_ANYWAY:
        return DISK_FULL.found(situation, **_evidence(place)).at(Severity.ERROR)
    if free < LITTLE_LEFT or (free < LOW and free < LOW_SHARE * size):
        return DISK_FULL.found(situation, **_evidence(place))
    return None


def _not_writable(place: Place) -> Iterable[Finding]:
    """Code often lies in a folder that cannot be written to; temporary files are needed always, caches mostly."""
    finding = DISK_FULL.found("not-writable", **_evidence(place))
    if place.use == "temporary":
        yield finding.at(Severity.ERROR)
    elif place.use == "working-directory":
        yield finding.mended_by(f"ls -ld {shlex.quote(place.path)}").at(Severity.NOTE)
    elif place.use == "home" or (place.variable and place.variable not in ("HOME", "XDG_CACHE_HOME")):
        yield finding


@check(FILESYSTEM_NOEXEC)
def filesystem_noexec(disks: Disks) -> Iterable[Finding]:
    """torch.compile and Triton put shared objects into /tmp unless told otherwise."""
    for place in disks.places:
        if place.use in COMPILED and place.no_exec and place.answers:
            evidence = _evidence(place)
            if place.use == "temporary" and any(other.use == "inductor" for other in disks.places):
                continue
            if place.use == "temporary":
                evidence.update(use="inductor", variable_to_set="TORCHINDUCTOR_CACHE_DIR")
            yield FILESYSTEM_NOEXEC.found(**evidence)
            return


@check(FILESYSTEM_HANGS)
def filesystem_hangs(disks: Disks) -> Iterable[Finding]:
    """One finding for each file system that did not answer."""
    told: set[str] = set()
    for place in disks.places:
        if not place.answers and place.mount_point not in told:
            told.add(place.mount_point)
            yield FILESYSTEM_HANGS.found(**_evidence(place))


@summary
def line(disks: Disks) -> tuple[Text, Mapping[str, Scalar]] | None:
    known = [place for place in disks.places if place.free_bytes is not None]
    if not known:
        return None
    return Text("{path}: {free:.0f} GB free", "{path}：剩余 {free:.0f} GB"), {
        "path": known[0].path,
        "free": (known[0].free_bytes or 0) / GB,
    }
