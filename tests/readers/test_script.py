"""envdoctor/readers/script.py and script_tree.py, through whole files."""

from __future__ import annotations

import pytest

from tests.readers.texts import codes, findings

HEAD = "import os, argparse, torch\nimport torch.distributed as dist\nfrom torch.utils.data import DistributedSampler\n"
LOCAL = "local_rank = int(os.environ['LOCAL_RANK'])\n"
CHOSEN = LOCAL + "torch.cuda.set_device(local_rank)\n"
MASK = "os.environ['CUDA_VISIBLE_DEVICES'] = '1'\n"


@pytest.mark.parametrize(
    ("script", "code", "line"),
    [
        (CHOSEN + "dist.init_process_group('nccl', rank=local_rank, world_size=8)", "script-rank-wrong", 6),
        (
            "dist.init_process_group('nccl')\nrank = dist.get_rank()\ntorch.cuda.set_device(rank)",
            "script-rank-wrong",
            6,
        ),
        (
            CHOSEN + "dist.init_process_group('nccl', rank=0, world_size=torch.cuda.device_count())",
            "script-rank-wrong",
            6,
        ),
        (LOCAL + "sampler = DistributedSampler(data, num_replicas=8, rank=local_rank)", "script-rank-wrong", 5),
        ("rank = int(os.environ.get('RANK', 0))\ndevice = torch.device('cuda', rank)", "script-rank-wrong", 5),
        ("dist.init_process_group('nccl')\nmodel = Net().cuda()", "script-device-unset", 4),
        ("dist.init_process_group(backend='nccl')\nmodel.to(torch.device('cuda:0'))", "script-device-unset", 5),
        ("dist.init_process_group('nccl')\ntorch.cuda.set_device(0)", "script-device-unset", 5),
        ("print(torch.cuda.get_device_name())\n" + MASK, "script-visible-devices-late", 5),
        ("model = Net().cuda()\nos.environ.update({'CUDA_VISIBLE_DEVICES': '1'})", "script-visible-devices-late", 5),
        ("p = argparse.ArgumentParser()\np.add_argument('--local_rank', type=int)", "local-rank-argument", 5),
        ("dist.init_process_group('gloo', init_method='tcp://10.0.0.1:23456')", "launch-env-missing", 4),
        ("dist.init_process_group('gloo', init_method=f'tcp://{host}:1', rank=0)", "launch-env-missing", 4),
    ],
)
def test_faults(script: str, code: str, line: int) -> None:
    found = findings(HEAD + script + "\n", "train.py")
    assert [finding.code for finding in found] == [code]
    assert found[0].severity.value == "warning"
    assert found[0].evidence["line"] == line
    assert found[0].words.title is not None
    assert "{" not in found[0].words.title.say("zh", found[0].evidence)


@pytest.mark.parametrize(
    "script",
    [
        "torch.backends.cudnn.deterministic = True",
        "torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, True",
        "torch.use_deterministic_algorithms(True)",
        "torch.autograd.set_detect_anomaly(True)",
        "os.environ['CUDA_LAUNCH_BLOCKING'] = '1'",
    ],
)
def test_what_costs_speed_is_a_note(script: str) -> None:
    assert codes(HEAD + script + "\n", "train.py") == {"determinism-slow": "note"}


SOUND = {
    "one process per GPU by torchrun": CHOSEN + "dist.init_process_group('nccl')\nmodel = Net().to(local_rank)",
    "an f-string": LOCAL + "device = f'cuda:{local_rank}'\ndist.init_process_group('nccl')\nmodel.to(device)",
    "device_id": LOCAL + "dist.init_process_group('nccl', device_id=torch.device('cuda', local_rank))\nNet().cuda()",
    "spawned ranks": """
import torch.multiprocessing as mp
def main(rank, size):
    torch.cuda.set_device(rank)
    dist.init_process_group('nccl', init_method='tcp://localhost:1', rank=rank, world_size=size)
    model = Net().to(rank)
if __name__ == '__main__':
    size = torch.cuda.device_count()
    mp.spawn(main, args=(size,), nprocs=size)
""",
    "ranks by arithmetic": """
rank = int(os.environ['SLURM_PROCID'])
local_rank = rank - 4 * (rank // 4)
dist.init_process_group('nccl', rank=rank, world_size=int(os.environ['WORLD_SIZE']))
torch.cuda.set_device(local_rank)
""",
    "what the user gives": """
dist.init_process_group(args.backend, init_method=args.dist_url, world_size=args.world_size, rank=args.rank)
torch.cuda.set_device(args.gpu)
""",
    "accelerate": "from accelerate import Accelerator\nmodel = Accelerator().prepare(Net().cuda())",
    "lightning": "import lightning as L\nL.Trainer(accelerator='gpu', devices=4, strategy='ddp')",
    "both spellings": "p = argparse.ArgumentParser()\np.add_argument('--local_rank', '--local-rank', type=int)",
    "the environment as default": "p.add_argument('--local_rank', default=int(os.environ.get('LOCAL_RANK', 0)))",
    "one GPU": "model = Net().cuda()\ntorch.load('a.pt', map_location='cpu')",
    "gloo": "dist.init_process_group('gloo')\nmodel = Net()",
    "deterministic off again": "torch.backends.cudnn.deterministic = True\ntorch.backends.cudnn.deterministic = False",
    "the mask first": MASK + "torch.cuda.get_device_name()",
    "no Python": "this is : no ( Python",
}


@pytest.mark.parametrize("script", SOUND.values(), ids=SOUND)
def test_sound_scripts_are_passed_over(script: str) -> None:
    assert codes(HEAD + script + "\n", "train.py") == {}


def test_a_script_is_known_without_its_name() -> None:
    fault = "dist.init_process_group('nccl')\ntorch.cuda.set_device(0)\n"
    assert codes(HEAD + fault, "stdin") == {"script-device-unset": "warning"}
    assert codes(HEAD + "x = [\n" + "    1,\n" * 1000 + "]\n" + fault, "stdin") == {"script-device-unset": "warning"}


def test_a_log_below_a_script_is_read_as_a_log() -> None:
    text = HEAD + "x = 1\n" * 1000 + "\n$ python train.py\nRuntimeError: CUDA error: invalid device ordinal\n"
    assert codes(text, "stdin") == {"nproc-exceeds-gpus": "error"}


def test_a_script_in_no_known_syntax_harms_nothing() -> None:
    for script in ("(" * 5000, "x = '\0'", "if True:\n\tx\n        y", "\x00", "a" + ".b" * 3000):
        assert codes(HEAD + script, "train.py") == {}
