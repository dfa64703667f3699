"""Words that give variables to what no shell of the user's starts: containers, pods and batch jobs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from envdoctor.edits import shell_words
from envdoctor.remedy import ByHand, said


def by_hand_for_job(values: Mapping[str, str], container: str, scheduler: str) -> tuple[ByHand, ...]:
    """What to paste, for a container, a pod or a job; for the first of them that this runs in.

    Args:
        container: kind of the container this runs in, as in `Host`.
        scheduler: kind of the batch job, as in `Host`.
    """
    given = [f"{name}={value}" for name, value in values.items()]
    options = " ".join("-e " + shlex.quote(one) for one in given)
    if container in ("docker", "podman"):
        why = said(
            "files of a container end with it: give the variables to whoever starts it",
            "容器内的文件会随容器消失：请在启动容器时传入这些变量",
        )
        return (ByHand(f"{container} run {options} ...", why),)
    if container == "kubernetes":
        entries = ", ".join(f"{{name: {name}, value: {_yaml(value)}}}" for name, value in values.items())
        why = said("in the container of the pod's specification", "写入 Pod 定义中该容器的配置")
        return (ByHand(f"env: [{entries}]", why),)
    if scheduler:
        why = said("in the batch script, before the line that starts training", "写入作业脚本，放在启动训练的命令之前")
        return (ByHand("\n".join(shell_words.setting(name, value, "bash") for name, value in values.items()), why),)
    return ()


def _yaml(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
