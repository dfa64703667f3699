"""Which GPUs are here, and may this process use them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts.cuda_evidence import evidence
from envdoctor.facts.driver import Driver
from envdoctor.facts.environment import Environment
from envdoctor.facts.gpu import Gpus
from envdoctor.facts.host import Host
from envdoctor.facts.kernel_log import KernelLog
from envdoctor.facts.pci import PciDevices
from envdoctor.facts.torch import TorchCuda, TorchInstall
from envdoctor.knowledge.cuda_init import explain
from envdoctor.model import Scalar

TOPIC = Topic("gpu", 20, Text("the GPUs and access to them", "GPU 及其访问权限"))

NO_GPU = Text(
    "torch.cuda.is_available() is False: training runs on the CPU or stops at the first .cuda()",
    "torch.cuda.is_available() 为 False：训练只能用 CPU，或在第一次 .cuda() 时报错退出",
)

GPU_NOT_IN_CONTAINER = Problem(
    code="gpu-not-in-container",
    severity=Severity.ERROR,
    title=Text("this container was given no GPU", "该容器没有分配到 GPU"),
    why=NO_GPU,
    seen=Text(
        "{container} container ({shown_by}); the machine has {gpus} NVIDIA {gpus:GPU|GPUs}, kernel module {driver}\n"
        "/dev/nvidia*: no GPU; NVIDIA_VISIBLE_DEVICES: {visible}",
        "{container} 容器（{shown_by}）；所在机器有 {gpus} 块 NVIDIA GPU，内核模块 {driver}\n"
        "/dev/nvidia*：没有 GPU；NVIDIA_VISIBLE_DEVICES：{visible}",
    ),
    help=Text(
        "GPUs are given when a container is created: create it again with access to them",
        "GPU 在创建容器时分配：请以可访问 GPU 的方式重新创建容器",
    ),
    confirm="ls -l /dev/nvidia*; nvidia-smi -L",
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html",),
    situations={
        "docker": Situation(
            command="docker run --gpus all ...",
            help=Text(
                'create the container again; if docker then says "could not select device driver", install '
                "nvidia-container-toolkit on the host, run `sudo nvidia-ctk runtime configure --runtime=docker` and "
                "`sudo systemctl restart docker`",
                "重新创建容器；若 docker 提示 “could not select device driver”，"
                "先在宿主机安装 nvidia-container-toolkit，"
                "再执行 `sudo nvidia-ctk runtime configure --runtime=docker` 与 `sudo systemctl restart docker`",
            ),
        ),
        "podman": Situation(
            command="podman run --device nvidia.com/gpu=all ...",
            help=Text(
                "needs a CDI specification on the host: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
                "宿主机需要 CDI 描述文件：sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
            ),
        ),
        "kubernetes": Situation(
            look="kubectl describe node | grep -A8 Allocatable | grep nvidia.com/gpu",
            help=Text(
                "ask for GPUs in the pod: resources.limits `nvidia.com/gpu: 1` (and runtimeClassName: nvidia where the "
                "cluster wants it); the command shows whether the device plugin offers any",
                "在 Pod 中申请 GPU:resources.limits 写 `nvidia.com/gpu: 1`（部分集群还需 runtimeClassName: nvidia）；"
                "上面的命令可查看设备插件是否提供 GPU",
            ),
        ),
        "apptainer": Situation(
            command="apptainer exec --nv ...",
            help=Text("start it again with --nv", "加 --nv 重新启动"),
        ),
        "other": Situation(
            help=Text(
                "give the container the devices /dev/nvidia0.., /dev/nvidiactl, /dev/nvidia-uvm and the host's driver "
                "libraries (nvidia-container-toolkit does both)",
                "把 /dev/nvidia0..、/dev/nvidiactl、/dev/nvidia-uvm 以及宿主机的驱动库提供给容器"
                "（nvidia-container-toolkit 可完成）",
            ),
        ),
        "capabilities": Situation(
            title=Text(
                "this container has the GPU's device files, but not the driver's compute libraries",
                "容器内有 GPU 设备文件，但没有驱动的计算库",
            ),
            seen=Text(
                "/dev/nvidia0 is there, libcuda.so.1 is not; NVIDIA_DRIVER_CAPABILITIES: {capabilities}",
                "有 /dev/nvidia0，没有 libcuda.so.1；NVIDIA_DRIVER_CAPABILITIES：{capabilities}",
            ),
            command="docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility ...",
        ),
        "lost": Situation(
            title=Text("this container has lost its GPUs", "该容器中途失去了 GPU"),
            seen=Text(
                "the device files are there and may not be opened; NVML: {nvml}",
                "设备文件存在但无法打开；NVML：{nvml}",
            ),
            command="docker restart CONTAINER    # on the host",
            help=Text(
                "a `systemctl daemon-reload` on the host, as package upgrades do it, takes the device rules away from "
                "running containers (nvidia-container-toolkit issue 48); CDI devices keep them",
                "宿主机执行 `systemctl daemon-reload`（软件包升级常会触发）会清除运行中容器的设备规则"
                "（见 nvidia-container-toolkit issue 48）；改用 CDI 设备可避免",
            ),
        ),
    },
)

GPU_NOT_ALLOCATED = Problem(
    code="gpu-not-allocated",
    severity=Severity.ERROR,
    title=Text("Slurm job {job} has no GPU", "Slurm 作业 {job} 没有分配到 GPU"),
    why=NO_GPU,
    seen=Text(
        "CUDA_VISIBLE_DEVICES: {mask}; none of SLURM_JOB_GPUS, SLURM_STEP_GPUS, SLURM_GPUS* is set; "
        "partition {partition}",
        "CUDA_VISIBLE_DEVICES：{mask}；SLURM_JOB_GPUS、SLURM_STEP_GPUS、SLURM_GPUS* 均未设置；分区 {partition}",
    ),
    command="sbatch --gres=gpu:1 ...",
    help=Text(
        "ask for as many GPUs per node as there are ranks per node, in a partition that has them (sinfo -o '%P %G')",
        "按每节点进程数申请 GPU，并选择有 GPU 的分区（sinfo -o '%P %G' 可查看）",
    ),
    confirm="scontrol show job $SLURM_JOB_ID | grep -i tres; env | grep -i -e gpu -e cuda",
    hardware="unconfirmed",
    situations={
        "cpu-node": Situation(
            severity=Severity.NOTE,
            title=Text("Slurm job {job} runs on a node without GPUs", "Slurm 作业 {job} 运行在没有 GPU 的节点上"),
        ),
        "elsewhere": Situation(
            severity=Severity.WARNING,
            title=Text(
                "this shell belongs to Slurm job {job}, but runs on a machine that is not the job's",
                "当前 shell 属于 Slurm 作业 {job}，但并不在作业的节点上运行",
            ),
            why=Text(
                "what is started here runs on the login node, without the job's GPUs",
                "在这里启动的程序运行在登录节点上，用不到作业的 GPU",
            ),
            seen=Text(
                "SLURM_JOB_ID={job}, SLURMD_NODENAME is not set, no NVIDIA GPU on this machine",
                "SLURM_JOB_ID={job}，SLURMD_NODENAME 未设置，本机没有 NVIDIA GPU",
            ),
            command="srun --jobid={job} --overlap --pty bash",
            help=Text("or put srun in front of each command", "或在每条命令前加 srun"),
        ),
    },
)

GPU_NOT_VISIBLE = Problem(
    code="gpu-not-visible",
    severity=Severity.ERROR,
    title=Text("this user may not open the GPU's device files", "当前用户无权打开 GPU 设备文件"),
    why=NO_GPU,
    seen=Text("not permitted: {nodes}; {call}: error {error}", "无权限：{nodes}；{call}：错误 {error}"),
    look="ls -l /dev/nvidia*; id",
    help=Text(
        "the driver makes these files for everyone (mode 666) unless NVreg_DeviceFileMode or NVreg_DeviceFileGID in "
        "/etc/modprobe.d say otherwise: join the group that owns them, sudo usermod -aG GROUP $USER, and log in again",
        "驱动默认以 666 权限创建这些文件，除非 /etc/modprobe.d 中设置了 NVreg_DeviceFileMode 或 NVreg_DeviceFileGID："
        "把用户加入所属组（sudo usermod -aG GROUP $USER）后重新登录",
    ),
    confirm="ls -l /dev/nvidia*; nvidia-smi -L",
    caused_by=("gpu-fell-off-bus", "gpu-xid"),
    hardware="unconfirmed",
    situations={
        "denied": Situation(),
        "uvm": Situation(
            title=Text("/dev/nvidia-uvm is absent, CUDA needs it", "缺少 /dev/nvidia-uvm，CUDA 需要它"),
            seen=Text(
                "{call}: error {error}; the GPUs' device files are there, nvidia-uvm is not",
                "{call}：错误 {error}；GPU 设备文件存在，但没有 nvidia-uvm",
            ),
            command="sudo nvidia-modprobe -u -c=0",
            help=Text(
                "in a container: run it on the host, then create the container again",
                "容器环境：在宿主机上执行，然后重新创建容器",
            ),
        ),
        "not-started": Situation(
            title=Text(
                "the NVIDIA driver is loaded and could start none of the {gpus} {gpus:GPU|GPUs}",
                "NVIDIA 驱动已加载，但 {gpus} 块 GPU 都未能启动",
            ),
            seen=Text(
                "PCI: {pci}, bound to: {bound}; kernel module {driver} lists no GPU\nkernel log: {said}",
                "PCI：{pci}，绑定的驱动：{bound}；内核模块 {driver} 没有列出任何 GPU\n内核日志：{said}",
            ),
            look="sudo dmesg | grep -i nvrm | tail -20",
            help=Text(
                "the kernel's log says why: a GPU this release does not support or that needs the open kernel module, "
                "RmInitAdapter failed (power, riser, firmware), or another driver that holds the device",
                "内核日志会说明原因：该驱动版本不支持此 GPU 或需要开源内核模块、RmInitAdapter failed"
                "（供电、转接卡、固件），或设备被其他驱动占用",
            ),
        ),
    },
)


@check(GPU_NOT_IN_CONTAINER, GPU_NOT_ALLOCATED, GPU_NOT_VISIBLE)
def gpu_is_given(
    driver: Driver | Missing,
    gpus: Gpus | Missing,
    pci: PciDevices | Missing,
    torch: TorchCuda | Missing,
    install: TorchInstall | None,
    environment: Environment | None,
    host: Host | None,
    log: KernelLog | None,
) -> Iterable[Finding]:
    """The lowest rung of knowledge/cuda_init.py that is broken, where it is about access."""
    refusals = [
        entry.text for entry in (log.entries if log else ()) if entry.kind in ("unsupported-gpu", "init-failed")
    ]
    cause = explain(evidence(driver, gpus, pci, torch, install, environment, host))
    for problem in (GPU_NOT_IN_CONTAINER, GPU_NOT_ALLOCATED, GPU_NOT_VISIBLE):
        if problem.code == cause.code:
            found = problem.found(cause.situation, **cause.values, said=refusals[0] if refusals else None)
            # A CPU build is no sign that a GPU is wanted here.
            wanted = install is None or install.cuda or problem is GPU_NOT_VISIBLE
            yield found if wanted else found.at(Severity.NOTE)


@summary
def line(gpus: Gpus | Missing, pci: PciDevices | None) -> tuple[Text, Mapping[str, Scalar]] | None:
    names = Counter(gpu.name or "?" for gpu in (gpus.gpus if isinstance(gpus, Gpus) else ()))
    if not names:
        return (Text("none of NVIDIA's", "没有 NVIDIA GPU"), {}) if pci and not pci.nvidia_gpus else None
    said = " + ".join(f"{count} x {name}" for name, count in names.items())
    return Text("{gpus}", "{gpus}"), {"gpus": said}
