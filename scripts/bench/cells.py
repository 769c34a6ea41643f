"""Times PyTorch's recurrent layers, forward and backward (inputs and weights); one JSON line per cell and size."""

import argparse
import itertools
import json
import platform
import statistics
import time
from functools import partial
from pathlib import Path

import torch
from torch import nn

INPUT_DIM = 128
BATCH = 64
STEPS = 100
CELLS = {
    "elman": nn.RNN,
    "elman-relu": partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def seconds(cell: str, hidden_dim: int, args: argparse.Namespace) -> list[float]:
    """Seconds of each run after the warm-up."""
    torch.manual_seed(1)
    where = {"device": args.device, "dtype": DTYPES[args.dtype]}
    rnn = CELLS[cell](INPUT_DIM, hidden_dim).to(**where)
    rnn.flatten_parameters()
    inputs = torch.randn(STEPS, BATCH, INPUT_DIM, **where, requires_grad=True)
    grad_output = torch.randn(STEPS, BATCH, hidden_dim, **where)
    wait = torch.cuda.synchronize if args.device == "cuda" else lambda: None
    times = []
    wait()
    for _ in range(args.warm_up + args.runs):
        rnn.zero_grad()
        inputs.grad = None
        start = time.perf_counter()
        output, _ = rnn(inputs)
        output.backward(grad_output)
        wait()
        times.append(time.perf_counter() - start)
    return times[args.warm_up :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--hidden", type=int, nargs="+", default=[1024])
    parser.add_argument("--cell", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    parser.add_argument("--tf32", action="store_true", help="let cuDNN round the factors of f32 products")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    # f32 is f32, as ours is; PyTorch's own default for recurrent layers on a GPU is a shorter format.
    torch.backends.cudnn.allow_tf32 = args.tf32
    for cell, hidden_dim in itertools.product(args.cell, args.hidden):
        times = seconds(cell, hidden_dim, args)
        result = {
            "bench": "cell forward+backward",
            "cell": cell,
            "implementation": f"torch {torch.__version__}",
            "cpu": cpu_model(),
            "device": args.device,
            "threads": args.threads,
            "dtype": "tf32" if args.tf32 else args.dtype,
            "input_dim": INPUT_DIM,
            "hidden_dim": hidden_dim,
            "batch": BATCH,
            "steps": STEPS,
            "runs": args.runs,
            "tokens_per_second": round(BATCH * STEPS / statistics.median(times)),
            "fastest": round(BATCH * STEPS / min(times)),
            "slowest": round(BATCH * STEPS / max(times)),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
