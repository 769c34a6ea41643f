"""Times PyTorch's nn.LSTM, forward only: f32, bf16, int8 (dynamic); one JSON line for each size, batch and precision.

    python lstm_inference.py --threads 1 2 --hidden 512 1024 2048 --batch 1 32 64 256

A step is one time step of one sequence. The operations counted are those of the products: 2 * 4H * (input + H).
"""

import argparse
import json
import statistics
import time
import warnings

import torch
from cells import cpu_model
from torch import Tensor, nn

INPUT_DIM = 100


def prepared(precision: str, hidden_dim: int) -> nn.Module:
    torch.manual_seed(1)
    lstm = nn.LSTM(INPUT_DIM, hidden_dim).eval()
    if precision == "bf16":
        return lstm.bfloat16()
    if precision == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.ao.quantization.quantize_dynamic(lstm, {nn.LSTM}, dtype=torch.qint8)
    return lstm


@torch.inference_mode()
def seconds(lstm: nn.Module, inputs: Tensor, runs: int) -> list[float]:
    """Seconds of each run after the first."""
    times = []
    for _ in range(1 + runs):
        start = time.perf_counter()
        lstm(inputs)
        times.append(time.perf_counter() - start)
    return times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--hidden", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32, 64, 256])
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16", "int8"])
    parser.add_argument("--steps", type=int, default=30, help="time steps of a run")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    for hidden_dim in args.hidden:
        for precision in args.precision:
            lstm = prepared(precision, hidden_dim)
            for batch in args.batch:
                inputs = torch.randn(args.steps, batch, INPUT_DIM)
                if precision == "bf16":
                    inputs = inputs.bfloat16()
                for threads in args.threads:
                    torch.set_num_threads(threads)
                    times = seconds(lstm, inputs, args.runs)
                    steps = args.steps * batch
                    operations = steps * 2 * 4 * hidden_dim * (INPUT_DIM + hidden_dim)
                    result = {
                        "bench": "lstm inference",
                        "implementation": f"torch {torch.__version__}",
                        "cpu": cpu_model(),
                        "threads": threads,
                        "precision": precision,
                        "hidden_dim": hidden_dim,
                        "batch": batch,
                        "steps": args.steps,
                        "gflops": round(operations / statistics.median(times) / 1e9, 1),
                        "steps_per_second": round(steps / statistics.median(times)),
                        "fastest": round(steps / min(times)),
                        "slowest": round(steps / max(times)),
                    }
                    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
