"""`envdoctor fix hf-mirror`: models and data sets of the Hugging Face Hub come from a mirror."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from envdoctor import Files, Option, Plan, Remark, Text, Topic, UsageError, fix, said
from envdoctor.edits import exports, job_words, shell_effect
from envdoctor.facts.environment import Environment
from envdoctor.facts.host import Host
from envdoctor.facts.pip_rules import is_plain
from envdoctor.facts.shell_files import ShellFiles

TOPIC = Topic("shell", 404, Text("the endpoint of the model hub in start-up files", "启动文件中的模型仓库地址"))

# huggingface_hub reads it once, when it is imported (its constants.py), and sends it the token (tried with 2.4.0).
VARIABLE = "HF_ENDPOINT"
# Run by volunteers and not by Hugging Face; hf-mirror.com says how it is to be used.
MIRROR = "https://hf-mirror.com"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def _endpoint(url: str, official: bool) -> str:
    """The endpoint that is asked for, "" for Hugging Face's own. Raises UsageError."""
    if official and url:
        raise UsageError(
            "--official and --url exclude each other",
            "--official 与 --url 不能同时使用",
        )
    if official:
        return ""
    wanted = (url or MIRROR).strip().rstrip("/")
    try:
        parts = urlsplit(wanted)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits or not wanted.isascii() or not wanted.isprintable() or any(sign in wanted for sign in " ?#"):
        raise UsageError(
            f"--url {url!r} is no endpoint of a hub; it looks like {MIRROR}",
            f"--url {url!r} 不是 hub 的地址；应形如 {MIRROR}",
        )
    if "@" in parts.netloc:
        raise UsageError(
            "--url holds credentials, which a start-up file would keep readable; give it without them",
            "--url 含有凭据，写入启动文件后会以明文保存；请去掉凭据",
        )
    return wanted


@fix(
    "hf-mirror",
    Text(
        f"models and data sets from a mirror of the Hugging Face Hub, {MIRROR} unless told otherwise",
        f"从 Hugging Face Hub 镜像下载模型和数据集，默认 {MIRROR}",
    ),
    verify=shell_effect.takes_effect,
    options={
        "url": Option(Text("another endpoint", "其他地址"), metavar="URL"),
        "official": Option(Text("Hugging Face's own hub: takes the setting away", "官方 Hub：删除该设置")),
    },
)
def hf_mirror(
    shell: ShellFiles, environment: Environment | None, host: Host | None, files: Files,
    *, url: str = "", official: bool = False,
) -> Plan:  # fmt: skip
    """HF_ENDPOINT in the start-up file: it must be there before huggingface_hub is imported."""
    wanted = _endpoint(url, official)
    change = exports.exporting(shell, files, {VARIABLE: wanted or None})
    title = (
        said("Take models and data sets from {url}", "从 {url} 下载模型和数据集", url=wanted)
        if wanted
        else said("Take models and data sets from Hugging Face's own hub", "从 Hugging Face 官方 Hub 下载模型和数据集")
    )
    remarks = [*change.remarks, *_about_this_shell(environment, wanted)]
    if wanted:
        remarks += [*_about_the_mirror(wanted, environment), *_outside_of_shells(wanted, host)]
    return Plan(title, change.edits, by_hand=change.by_hand, remarks=tuple(remarks), wants=change.wants)


def _about_this_shell(environment: Environment | None, wanted: str) -> Iterable[Remark]:
    now = environment.get(VARIABLE) if environment else None
    if now and now.rstrip("/") != wanted:
        yield Remark(said(
            "HF_ENDPOINT={now} is set in this shell and stays in it, and in what it starts, until it is set anew",
            "当前 shell 中已设置 HF_ENDPOINT={now}；在重新设置之前，它以及由它启动的程序都会沿用该值", now=now,
        ), "warning")  # fmt: skip
    yield Remark(said(
        "programs and notebook kernels that run already keep the endpoint they started with: huggingface_hub reads it "
        "once, when it is imported",
        "已在运行的程序和 notebook 内核仍使用启动时的地址：huggingface_hub 只在被 import 时读取一次",
    ))  # fmt: skip


def _about_the_mirror(wanted: str, environment: Environment | None) -> Iterable[Remark]:
    host = urlsplit(wanted).hostname or ""
    yield Remark(said(
        "gated models still need a token from the official site, where their terms are accepted",
        "受限（gated）模型仍需要官方网站的令牌，并须先在官方网站接受其条款",
    ))  # fmt: skip
    token = next((name for name in TOKENS if environment and name in environment.secret), "")
    if token:
        text = said(
            "{token} is set: huggingface_hub sends it to {host} as well, which Hugging Face does not run",
            "已设置 {token}：huggingface_hub 也会把它发送给 {host}，而该站点并非由 Hugging Face 运营",
            token=token, host=host,
        )  # fmt: skip
        yield Remark(text, "warning")
    else:
        yield Remark(said(
            "a token that you log in with is sent to {host} as well, which Hugging Face does not run",
            "登录所用的令牌也会发送给 {host}，而该站点并非由 Hugging Face 运营", host=host,
        ))  # fmt: skip
    if is_plain(wanted):
        yield Remark(said("plain HTTP: anyone on the path can read tokens and replace a model",
                          "明文 HTTP：链路上的任何人都可以读取令牌、替换模型"), "warning")  # fmt: skip


def _outside_of_shells(wanted: str, host: Host | None) -> Iterable[Remark]:
    """Containers and jobs that no start-up file reaches."""
    if host is None:
        return
    for step in job_words.by_hand_for_job({VARIABLE: wanted}, host.container, host.scheduler.kind):
        why = step.why.text
        yield Remark(said(f"{why.en}: {{command}}", f"{why.zh}：{{command}}", **step.why.values, command=step.command))
