"""Trains a character language model in PyTorch on the CPU, to compare loss and speed on equal data and weights.

Weights and optimizer are f32. With `--dtype bf16` PyTorch's autocast chooses what is computed in bf16; with `bf16-copy`
the LSTM reads a bf16 copy of its weights, and the rest stays f32.

The data goes by in one order: no shuffling, no case flips. The lines of the text that are not empty, each with its
line end, make one sequence of characters; it is cut into as many streams as the batch has rows, the streams into
windows. The state is carried from window to window, and is zero where a pass over the data begins.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from cells import cpu_model
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

UNKNOWN = "<unk>"
DEV_WINDOW = 2048


class LanguageModel(nn.Module):
    """Parameters by Flair's names, initialised as Flair's."""

    copies_rnn = False
    """Whether the LSTM computes with a bf16 copy of its weights."""

    def __init__(self, characters: int, embedding_dim: int, hidden_dim: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.encoder = nn.Embedding(characters, embedding_dim)
        self.rnn = nn.LSTM(embedding_dim, hidden_dim, layers, dropout=dropout if layers > 1 else 0)
        self.decoder = nn.Linear(hidden_dim, characters)
        self.drop = nn.Dropout(dropout)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, ids: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Scores `[time, batch, characters]` of the character after each of `ids` `[time, batch]`, and the state."""
        inputs = self.drop(self.encoder(ids))
        if not self.copies_rnn:
            output, state = self.rnn(inputs, state)
            return self.decoder(self.drop(output)), state
        copies = {name: weight.bfloat16() for name, weight in self.rnn.named_parameters()}
        output, state = functional_call(self.rnn, copies, (inputs.bfloat16(), state))
        return self.decoder(self.drop(output.float())), state


def read(path: Path) -> str:
    """The lines that are not empty, each ended by a line feed."""
    lines = path.read_bytes().decode("utf-8").split("\n")
    return "".join(line + "\n" for line in (line.removesuffix("\r") for line in lines) if line)


def encode(text: str, dictionary: list[str]) -> Tensor:
    index = {character: number for number, character in enumerate(dictionary)}
    return torch.tensor([index.get(character, 0) for character in text])


def windows(ids: Tensor, batch_size: int, length: int) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """One pass over `ids`: inputs and targets `[time, batch]`, and whether the state is new."""
    per_stream = len(ids) // batch_size
    streams = ids[: per_stream * batch_size].view(batch_size, per_stream).t().contiguous()
    for start in range(0, per_stream - 1, length):
        end = min(start + length, per_stream - 1)
        yield streams[start:end], streams[start + 1 : end + 1], start == 0


def passes(ids: Tensor, batch_size: int, length: int) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """Pass after pass, without an end."""
    while True:
        yield from windows(ids, batch_size, length)


def build(args: argparse.Namespace) -> tuple[LanguageModel, list[str]]:
    """The model with its dictionary: those of the folder `--init`, or new ones."""
    if args.init == "none":
        dictionary = [UNKNOWN, *sorted(set(read(args.train)))]
        return LanguageModel(len(dictionary), args.embedding_dim, args.hidden_dim, 1, args.dropout), dictionary
    folder = Path(args.init)
    dictionary = json.loads((folder / "dictionary.json").read_text(encoding="utf-8"))
    weights = load_file(folder / "model.safetensors")
    layers = sum(name.startswith("rnn.weight_ih_l") for name in weights)
    model = LanguageModel(len(dictionary), args.embedding_dim, args.hidden_dim, layers, args.dropout)
    model.load_state_dict(weights)
    return model, dictionary


def learning_rate(args: argparse.Namespace, step: int) -> float:
    if args.schedule == "constant":
        return args.learning_rate
    return args.learning_rate * 0.5 * (1 + math.cos(math.pi * step / args.steps))


def train(model: LanguageModel, ids: Tensor, args: argparse.Namespace) -> tuple[list[float], list[list[float]]]:
    """Characters per second of each block of steps; and `[step, mean loss since the last]`, as printed."""
    if args.optimizer == "adamw":
        optimizer = torch.optim.AdamW(model.parameters(), eps=1e-8, weight_decay=0, fused=True)
    else:
        optimizer = torch.optim.SGD(model.parameters(), fused=True)
    model.train()
    state, losses, printed, rates = None, [], [], []
    characters, started = 0, time.perf_counter()
    for step, (inputs, targets, is_new) in zip(range(args.steps), passes(ids, args.batch_size, args.sequence_length)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(args, step)
        state = None if is_new else tuple(part.detach() for part in state)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bf16"):
            scores, state = model(inputs, state)
            loss = cross_entropy(scores.flatten(0, 1), targets.flatten())
        loss.backward()
        if args.max_grad_norm > 0:
            nn.utils.clip_grad_norm_(model.parameters(), args.max_grad_norm)
        optimizer.step()
        losses.append(loss.item())
        characters += inputs.numel()
        done = step + 1
        if done % args.block == 0 or done == args.steps:
            rates.append(characters / (time.perf_counter() - started))
            if done % args.log_every == 0 or done == args.steps:
                printed.append([done, statistics.mean(losses)])
                print(f"step {done}  loss {printed[-1][1]:.4f}  characters/s {rates[-1]:.0f}", file=sys.stderr, flush=True)
                losses = []
            characters, started = 0, time.perf_counter()
    return rates, printed


@torch.no_grad()
def evaluate(model: LanguageModel, ids: Tensor) -> float:
    """Mean loss in nats over all characters of `ids` but the first, in f32."""
    model.eval()
    model.copies_rnn = False
    state, total = None, 0.0
    for inputs, targets, _ in windows(ids, 1, DEV_WINDOW):
        scores, state = model(inputs, state)
        total += cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum").item()
    return total / (len(ids) - 1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--init", default="none", help="folder with model.safetensors and dictionary.json, or none")
    parser.add_argument("--hidden-dim", type=int, default=512)
    parser.add_argument("--embedding-dim", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--sequence-length", type=int, default=250)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--optimizer", choices=["adamw", "sgd"], default="adamw")
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--schedule", choices=["constant", "cosine"], default="constant")
    parser.add_argument("--max-grad-norm", type=float, default=0.0, help="0: no clipping")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--dtype", choices=["f32", "bf16", "bf16-copy"], default="f32", help="of training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--block", type=int, default=20, help="steps between two looks at the clock")
    parser.add_argument("--log-every", type=int, default=500, help="steps between two lines, a multiple of --block")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.log_every % args.block:
        parser.error("--log-every must be a multiple of --block")
    return args


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    model, dictionary = build(args)
    train_ids, dev_ids = (encode(read(path), dictionary) for path in (args.train, args.dev))
    if len(train_ids) < 2 * args.batch_size or len(dev_ids) < 2:
        sys.exit("too little text: two characters are needed, for training in each row of the batch")
    model.copies_rnn = args.dtype == "bf16-copy"
    rates, printed = train(model, train_ids, args)
    loss = evaluate(model, dev_ids)
    result = {
        "bench": "character language model training",
        "implementation": f"torch {torch.__version__}",
        "cpu": cpu_model(),
        "dictionary": len(dictionary),
        "train_characters": len(train_ids),
        "dev_characters": len(dev_ids),
        **{name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()},
        "train_losses": printed,
        "dev_loss": loss,
        "dev_bits_per_character": loss / math.log(2),
        "characters_per_second": round(statistics.median(rates)),
        "fastest": round(max(rates)),
        "slowest": round(min(rates)),
    }
    if args.json:
        print(json.dumps(result))
        return
    print(f"dev loss {loss:.4f} nats, {result['dev_bits_per_character']:.4f} bits per character")
    print(f"{result['characters_per_second']} characters/s (median; {result['slowest']} to {result['fastest']})")


if __name__ == "__main__":
    main()
