"""Is the NVIDIA driver loaded and whole, and are its libraries the right ones?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envdoctor import Finding, Missing, Problem, Severity, Situation, Text, Topic, check, summary
from envdoctor.facts import gpu_state
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

TOPIC = Topic("driver", 10, Text("the NVIDIA driver and its libraries", "NVIDIA 驱动及其用户态库"))

NO_GPU = Text(
    "torch.cuda.is_available() is False: training runs on the CPU or stops at the first .cuda()",
    "torch.cuda.is_available() 为 False：训练只能用 CPU，或在第一次 .cuda() 时报错退出",
)

DRIVER_MISSING = Problem(
    code="driver-missing",
    severity=Severity.ERROR,
    title=Text(
        "no NVIDIA driver is installed, although {gpus} NVIDIA {gpus:GPU is|GPUs are} on the PCI bus",
        "PCI 总线上有 {gpus} 块 NVIDIA GPU，但没有安装 NVIDIA 驱动",
    ),
    why=NO_GPU,
    seen=Text(
        "PCI: {pci}\n/sys/module/nvidia: absent; no nvidia module in /lib/modules, no libcuda.so.1",
        "PCI：{pci}\n/sys/module/nvidia 不存在；/lib/modules 中没有 nvidia 模块，也没有 libcuda.so.1",
    ),
    help=Text(
        "install the driver from the distribution's or NVIDIA's packages (Ubuntu: sudo ubuntu-drivers install; RHEL "
        "and Fedora with NVIDIA's repository: sudo dnf install nvidia-open), then reboot",
        "用发行版或 NVIDIA 官方仓库安装驱动（Ubuntu：sudo ubuntu-drivers install；RHEL/Fedora 配好 NVIDIA "
        "仓库后：sudo dnf install nvidia-open），然后重启",
    ),
    confirm="nvidia-smi; lspci -k -d 10de:",
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/",),
    situations={
        "nouveau": Situation(
            title=Text(
                "the nouveau driver owns what NVIDIA GPUs are here, CUDA needs NVIDIA's",
                "NVIDIA GPU 被 nouveau 驱动占用，CUDA 需要 NVIDIA 官方驱动",
            ),
            seen=Text("PCI: {pci}, bound to {bound}", "PCI：{pci}，绑定的驱动：{bound}"),
            command="printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' "
            "| sudo tee /etc/modprobe.d/blacklist-nouveau.conf",
            help=Text(
                "then rebuild the initramfs (sudo update-initramfs -u, or sudo dracut --force), install NVIDIA's "
                "driver and reboot",
                "然后重建 initramfs（sudo update-initramfs -u 或 sudo dracut --force），安装 NVIDIA 驱动并重启",
            ),
        ),
        "not-loaded": Situation(
            title=Text("the NVIDIA kernel module is not loaded", "NVIDIA 内核模块没有加载"),
            seen=Text(
                "/sys/module/nvidia: absent; kernel {kernel}; modules in /lib/modules for: {modules}\n"
                "user-space libraries: {library}",
                "/sys/module/nvidia 不存在；当前内核 {kernel}；/lib/modules 中有模块的内核："
                "{modules}\n用户态库：{library}",
            ),
            command="sudo modprobe nvidia && nvidia-smi",
            help=Text(
                "if modprobe fails, `sudo dmesg | grep -i nvrm` says why: no module for this kernel, one refused by "
                "secure boot, or a GPU that needs the open kernel module",
                "若 modprobe 失败，用 `sudo dmesg | grep -i nvrm` 查看原因：当前内核没有模块、被 Secure Boot "
                "拒绝，或该 GPU 需要开源内核模块",
            ),
        ),
        "other-kernel": Situation(
            title=Text(
                "the NVIDIA module was built for another kernel than the running {kernel}",
                "NVIDIA 内核模块不是为当前内核 {kernel} 编译的",
            ),
            seen=Text(
                "uname -r: {kernel}; nvidia.ko is there for: {modules}",
                "uname -r：{kernel}；有 nvidia.ko 的内核：{modules}",
            ),
            command="sudo dkms autoinstall -k $(uname -r) && sudo modprobe nvidia",
            help=Text(
                "DKMS needs the headers of the running kernel (linux-headers-$(uname -r)); booting the kernel that has "
                "the module helps as well",
                "DKMS 需要当前内核的头文件（linux-headers-$(uname -r)）；也可以重启进入已有模块的内核",
            ),
        ),
        "secure-boot": Situation(
            title=Text(
                "the NVIDIA module is installed and not loaded, and secure boot is on",
                "NVIDIA 内核模块已安装但没有加载，且 Secure Boot 已启用",
            ),
            seen=Text(
                "/sys/module/nvidia: absent; nvidia.ko is there for {modules}; UEFI SecureBoot: {secure_boot}\n"
                "kernel log: {said}",
                "/sys/module/nvidia 不存在；有 nvidia.ko 的内核：{modules}；UEFI SecureBoot：{secure_boot}\n"
                "内核日志：{said}",
            ),
            command="sudo modprobe nvidia",
            help=Text(
                'if it says "Key was rejected by service": enrol the signing key (sudo mokutil --import '
                "/var/lib/shim-signed/mok/MOK.der, then reboot) or turn secure boot off in the firmware",
                "若提示 “Key was rejected by service”：注册签名密钥（sudo mokutil --import "
                "/var/lib/shim-signed/mok/MOK.der，然后重启），或在固件中关闭 Secure Boot",
            ),
        ),
        "host": Situation(
            title=Text(
                "the host of this container has NVIDIA GPUs and no NVIDIA driver loaded",
                "容器所在的宿主机有 NVIDIA GPU，但没有加载 NVIDIA 驱动",
            ),
            seen=Text("PCI: {pci}; /sys/module/nvidia: absent", "PCI 设备：{pci}；/sys/module/nvidia 不存在"),
            command="sudo modprobe nvidia && nvidia-smi    # on the host, not in the container",
            help=Text(
                "a driver cannot be installed from inside a container: the kernel is the host's",
                "驱动不能在容器内安装：容器用的是宿主机的内核",
            ),
        ),
        "library": Situation(
            title=Text(
                "the NVIDIA module {kernel} is loaded, but libcuda.so.1 is not installed",
                "NVIDIA 内核模块 {kernel} 已加载，但没有安装 libcuda.so.1",
            ),
            seen=Text(
                "/sys/module/nvidia/version: {kernel}; the loader finds no libcuda.so.1",
                "/sys/module/nvidia/version：{kernel}；加载器找不到 libcuda.so.1",
            ),
            command="sudo ldconfig && ldconfig -p | grep libcuda",
            help=Text(
                "if it lists nothing, install the driver's compute libraries of exactly this release (Ubuntu: "
                "libnvidia-compute-..., RHEL: nvidia-driver-cuda)",
                "若没有输出，安装与内核模块版本完全一致的计算库（Ubuntu:libnvidia-compute-...，RHEL:nvidia-driver-cuda）",
            ),
        ),
        "unreadable": Situation(
            title=Text("libcuda.so.1 is there and cannot be opened", "libcuda.so.1 存在但无法打开"),
            seen=Text("dlopen says: {text}", "dlopen 报错：{text}"),
            look="ldd {libcuda}; ls -lL {libcuda}",
        ),
    },
)

DRIVER_LIBRARY_MISMATCH = Problem(
    code="driver-library-mismatch",
    severity=Severity.ERROR,
    title=Text(
        "the loaded NVIDIA kernel module ({kernel}) and the driver's libraries ({library}) are of different releases",
        "已加载的 NVIDIA 内核模块（{kernel}）与驱动用户态库（{library}）版本不一致",
    ),
    why=Text(
        "neither nvidia-smi nor CUDA works until they agree: usually the driver was upgraded under a running system",
        "版本一致之前 nvidia-smi 与 CUDA 都不可用：通常是系统运行中升级了驱动",
    ),
    seen=Text(
        "/sys/module/nvidia/version: {kernel}; libraries: {library}\n{shown}",
        "/sys/module/nvidia/version：{kernel}；用户态库：{library}\n{shown}",
    ),
    command="sudo reboot",
    help=Text(
        "without a reboot: end every GPU process, then sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && "
        "sudo modprobe nvidia; hold the packages back to keep automatic upgrades from doing it again",
        "不重启的办法：结束所有 GPU 进程，再 sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo modprobe "
        "nvidia；可锁定驱动软件包，避免自动升级再次触发",
    ),
    confirm="nvidia-smi; cat /proc/driver/nvidia/version; ldconfig -p | grep libnvidia-ml",
    hardware="unconfirmed",
    situations={
        "container": Situation(
            title=Text(
                "this container's NVIDIA libraries ({library}) do not belong to the host's kernel module ({kernel})",
                "容器内的 NVIDIA 用户态库（{library}）与宿主机内核模块（{kernel}）版本不一致",
            ),
            command="docker restart CONTAINER    # on the host",
            help=Text(
                "a container keeps the libraries it was started with: start it again after a driver upgrade on the "
                "host; libraries that the image itself brings (dpkg -l | grep nvidia) must be removed from it",
                "容器沿用启动时挂载的库：宿主机升级驱动后需重启容器；"
                "镜像自带的驱动库（dpkg -l | grep nvidia）应从镜像中删除",
            ),
        ),
    },
)

CUDA_COMPAT_MISMATCH = Problem(
    code="cuda-compat-mismatch",
    severity=Severity.ERROR,
    title=Text(
        "a forward-compatibility libcuda is used where the GPU or the driver does not allow it (error {error})",
        "使用了前向兼容（cuda-compat）的 libcuda，但当前 GPU 或驱动不支持（错误 {error}）",
    ),
    why=NO_GPU,
    seen=Text(
        "{call}: error {error}; libcuda: {libcuda} ({libcuda_release}); kernel module: {kernel}; GPU: {gpu}",
        "{call}：错误 {error}；libcuda：{libcuda}（{libcuda_release}）；内核模块：{kernel}；GPU：{gpu}",
    ),
    look="ls /etc/ld.so.conf.d/*compat*; ldconfig -p | grep libcuda.so",
    help=Text(
        "take the compat directory out of the loader's path (LD_LIBRARY_PATH, /etc/ld.so.conf.d, then ldconfig) so "
        "that the driver's own libcuda is found; cuda-compat works on data centre GPUs only and not with every driver",
        "把 compat 目录移出加载路径（LD_LIBRARY_PATH、/etc/ld.so.conf.d，之后运行 ldconfig），让驱动自带的 libcuda "
        "优先；cuda-compat 只支持数据中心 GPU，且不能配更新的驱动",
    ),
    confirm="grep libcuda /proc/$(pgrep -n python)/maps",
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/deploy/cuda-compatibility/",),
    situations={
        "path": Situation(
            command="export LD_LIBRARY_PATH=$(printf %s \"$LD_LIBRARY_PATH\" | tr : '\\n' | grep -v /compat "
            "| paste -sd:)",
            seen=Text(
                "{call}: error {error}; libcuda: {libcuda} ({libcuda_release}); kernel module: {kernel}; GPU: {gpu}\n"
                "LD_LIBRARY_PATH={path}",
                "{call}：错误 {error}；libcuda：{libcuda}（{libcuda_release}）；内核模块：{kernel}；GPU：{gpu}\n"
                "LD_LIBRARY_PATH={path}",
            ),
        ),
    },
)

DRIVER_HANGS = Problem(
    code="driver-hangs",
    severity=Severity.ERROR,
    title=Text("a call into the NVIDIA driver does not return: {call}", "对 NVIDIA 驱动的调用没有返回：{call}"),
    why=Text(
        "training hangs at its first CUDA call, and the process may not even be killed",
        "训练会卡死在第一次 CUDA 调用，进程甚至可能无法被杀死",
    ),
    seen=Text("{call}: {where}", "{call} 停在：{where}"),
    look="sudo dmesg | grep -iE 'nvrm|xid' | tail -20",
    help=Text(
        "a driver that hangs is freed by a GPU reset at best and by a reboot for sure: drain the node first",
        "驱动卡死时，重置 GPU 可能有效，重启一定有效：请先把节点排空（drain）",
    ),
    confirm="timeout 30 nvidia-smi; cat /proc/PID/wchan of the process that hangs",
    caused_by=("gpu-fell-off-bus", "gpu-xid", "gpu-needs-recovery", "torch-import-hangs"),
    hardware="unconfirmed",
)

WSL_DRIVER = Problem(
    code="wsl-driver",
    severity=Severity.ERROR,
    title=Text(
        "Windows refuses this WSL system its GPU (error {error})", "Windows 拒绝该 WSL 系统使用 GPU（错误 {error}）"
    ),
    why=NO_GPU,
    seen=Text("libcuda: {libcuda}; error: {text}", "libcuda：{libcuda}；报错：{text}"),
    command="wsl.exe --update && wsl.exe --shutdown",
    help=Text(
        "update the NVIDIA driver on the Windows side as well; never install a Linux display driver inside WSL",
        "同时更新 Windows 侧的 NVIDIA 驱动；切勿在 WSL 内安装 Linux 显卡驱动",
    ),
    confirm="/usr/lib/wsl/lib/nvidia-smi",
    hardware="unconfirmed",
    refs=("https://docs.nvidia.com/cuda/wsl-user-guide/",),
    situations={
        "absent": Situation(
            severity=Severity.WARNING,
            title=Text("WSL shows no libcuda from Windows", "WSL 中没有来自 Windows 的 libcuda"),
            seen=Text("the loader finds no usable libcuda.so.1: {text}", "加载器找不到可用的 libcuda.so.1：{text}"),
            command="ls -l /usr/lib/wsl/lib/libcuda.so.1 && echo /usr/lib/wsl/lib | sudo tee "
            "/etc/ld.so.conf.d/ld.wsl.conf && sudo ldconfig",
            help=Text(
                "if the file is absent: install NVIDIA's driver in Windows, then `wsl.exe --update` and `wsl.exe "
                "--shutdown`; without an NVIDIA GPU in this computer nothing is wrong",
                "若文件不存在：在 Windows 中安装 NVIDIA 驱动，再执行 `wsl.exe --update` 与 `wsl.exe --shutdown`；"
                "若电脑没有 NVIDIA GPU 则无需处理",
            ),
        ),
        "shadowed": Situation(
            title=Text(
                "a Linux driver's libcuda inside WSL is found before the one from Windows",
                "WSL 内安装的 Linux 驱动 libcuda 遮住了来自 Windows 的 libcuda",
            ),
            seen=Text("the loader takes {libcuda}; {text}", "加载器选中 {libcuda}；{text}"),
            look="dpkg -S {libcuda}",
            help=Text(
                "remove the package it names and the other NVIDIA driver packages of this WSL system, then sudo "
                "ldconfig; the driver belongs in Windows only",
                "卸载它所属的软件包以及该 WSL 系统中其他 NVIDIA 驱动包，再执行 sudo ldconfig；驱动只应装在 Windows 中",
            ),
        ),
        "wsl1": Situation(
            severity=Severity.WARNING,
            title=Text("WSL 1 gives no access to a GPU", "WSL 1 不支持访问 GPU"),
            seen=Text("/proc/sys/kernel/osrelease shows WSL 1", "/proc/sys/kernel/osrelease 显示为 WSL 1"),
            command="wsl.exe --set-version $WSL_DISTRO_NAME 2",
        ),
    },
)


@check(DRIVER_MISSING, DRIVER_LIBRARY_MISMATCH, CUDA_COMPAT_MISMATCH, WSL_DRIVER)
def driver_fits(
    driver: Driver | Missing,
    gpus: Gpus | Missing,
    pci: PciDevices | Missing,
    torch: TorchCuda | Missing,
    install: TorchInstall | None,
    environment: Environment | None,
    host: Host | None,
    log: KernelLog | None,
) -> Iterable[Finding]:
    """The lowest rung of knowledge/cuda_init.py that is broken, where it is one of the driver's."""
    rejected = [entry.text for entry in (log.entries if log else ()) if entry.kind == "module-rejected"]
    cause = explain(evidence(driver, gpus, pci, torch, install, environment, host))
    for problem in (DRIVER_MISSING, DRIVER_LIBRARY_MISMATCH, CUDA_COMPAT_MISMATCH, WSL_DRIVER):
        if problem.code == cause.code:
            situation = "secure-boot" if rejected and cause.situation == "not-loaded" else cause.situation
            yield problem.found(situation, **cause.values, said=rejected[0] if rejected else None)


@check(DRIVER_HANGS)
def driver_answers(driver: Driver | Missing, gpus: Gpus | Missing, torch: TorchCuda | Missing) -> Iterable[Finding]:
    """A call into the driver that stood still until its limit."""
    if isinstance(driver, Driver) and driver.stuck:
        yield DRIVER_HANGS.found(call=driver.stuck_call or "cuInit", where=f"wchan {driver.stuck}")
        return
    for fact, call in ((driver, "libcuda, NVML"), (gpus, "NVML"), (torch, "torch.cuda.init()")):
        if isinstance(fact, Missing) and fact.reason == "hung":
            lines = [line.strip() for line in fact.detail.splitlines() if line.strip()]
            yield DRIVER_HANGS.found(call=call, where=lines[0] if lines else "no CPU time and no I/O until the limit")
            return
    if isinstance(gpus, Gpus):
        stuck = gpu_state.stuck(gpus)
        if stuck:
            yield DRIVER_HANGS.found(
                call=f"NVML on GPU {gpu_state.spans(g.index for g in stuck)}", where=stuck[0].error
            )


@summary
def line(driver: Driver | Missing, pci: PciDevices | Missing) -> tuple[Text, Mapping[str, Scalar]] | None:
    if isinstance(driver, Driver) and (driver.release or driver.cuda_level):
        values: dict[str, Scalar] = {"release": driver.release, "level": driver.cuda_level}
        if not driver.cuda_level:
            return Text("{release}", "{release}"), values
        return Text("{release}, CUDA {level}", "{release}，CUDA {level}"), values
    if isinstance(pci, PciDevices) and not gpu_state.own_devices(pci):
        return Text("no NVIDIA GPU on this machine", "本机没有 NVIDIA GPU"), {}
    return None
