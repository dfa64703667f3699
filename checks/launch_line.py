"""Is the job started with the right launcher and the right options?"""

from __future__ import annotations

from envdoctor import Problem, Severity, Text, Topic

TOPIC = Topic("launch", 234, Text("the launch line", "启动命令行"))

LAUNCH_COMMAND_MALFORMED = Problem(
    code="launch-command-malformed",
    severity=Severity.ERROR,
    title=Text("the launch line is not understood", "启动命令行无法被解析"),
    why=Text("the launcher ends before any rank is started", "启动器在任何 rank 启动之前就已退出"),
    help=Text(
        "options of torchrun stand before the script, those of the script behind it; a line ends in a backslash with "
        "nothing after it where it goes on",
        "torchrun 的选项写在脚本之前，脚本自己的选项写在脚本之后；需要续行时，反斜杠之后不能再有任何字符",
    ),
    look="torchrun --help",
    confirm="torchrun --help",
    refs=("https://docs.pytorch.org/docs/stable/elastic/run.html",),
)

LAUNCH_DEPRECATED = Problem(
    code="launch-deprecated",
    severity=Severity.NOTE,
    title=Text("the job is started by a launcher that torchrun replaces", "任务由已被 torchrun 取代的启动器启动"),
    why=Text(
        "torch.distributed.launch gives scripts `--local-rank`, which newer ones no longer take",
        "torch.distributed.launch 会向脚本传入 `--local-rank`，较新的脚本不再接受",
    ),
    help=Text(
        "the same options with torchrun in place of `python -m torch.distributed.launch`; the script reads "
        "os.environ['LOCAL_RANK']",
        "将 `python -m torch.distributed.launch` 换成 torchrun，选项不变；脚本改为读取 os.environ['LOCAL_RANK']",
    ),
    confirm="torchrun --help",
    refs=("https://docs.pytorch.org/docs/stable/elastic/run.html",),
)

LOCAL_RANK_ARGUMENT = Problem(
    code="local-rank-argument",
    severity=Severity.ERROR,
    title=Text(
        "launcher and script do not agree on how the local rank is passed", "启动器与脚本传递 local rank 的方式不一致"
    ),
    why=Text("every worker ends at its argument parser", "每个 worker 都在解析参数时退出"),
    help=Text(
        "torchrun passes no argument: let the script read int(os.environ['LOCAL_RANK']); torch.distributed.launch "
        "passes --local_rank up to torch 1.13 and --local-rank since 2.0: "
        "parser.add_argument('--local-rank', '--local_rank', type=int, default=int(os.environ.get('LOCAL_RANK', 0)))",
        "torchrun 不传参数：脚本应读取 int(os.environ['LOCAL_RANK'])；torch.distributed.launch 在 torch 1.13 及以前传 "
        "--local_rank，2.0 起传 --local-rank：parser.add_argument('--local-rank', '--local_rank', type=int, "
        "default=int(os.environ.get('LOCAL_RANK', 0)))",
    ),
    confirm="torchrun --help",
    refs=("https://docs.pytorch.org/docs/stable/elastic/run.html",),
)

DUPLICATE_GPU = Problem(
    code="duplicate-gpu",
    severity=Severity.ERROR,
    title=Text("two ranks use one GPU", "两个 rank 使用同一块 GPU"),
    why=Text("NCCL refuses a communicator in which a GPU appears twice", "NCCL 拒绝建立同一 GPU 出现两次的通信组"),
    help=Text(
        "each process calls torch.cuda.set_device(int(os.environ['LOCAL_RANK'])) before init_process_group, and there "
        "are no more processes per node than GPUs",
        "每个进程应在 init_process_group 之前调用 torch.cuda.set_device(int(os.environ['LOCAL_RANK']))，且每个节点的"
        "进程数不能超过 GPU 数",
    ),
    look="nvidia-smi -L; echo $CUDA_VISIBLE_DEVICES",
    confirm="nvidia-smi",
    caused_by=("nproc-exceeds-gpus",),
    refs=("https://docs.pytorch.org/docs/stable/distributed.html",),
)
