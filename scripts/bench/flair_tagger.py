"""Makes a Flair tagger of random weights, also as a model folder; compares their labels; times Flair's `predict`.

    python flair_tagger.py make --hidden-dim 2048 --text train.txt --calibrate dev.conllu --out MADE
    python flair_tagger.py verify --model MADE --file test.conllu --gloss target/release/gloss
    python flair_tagger.py time --model MADE --file test.conllu --threads 2 --batch-size 32
    echo "Ada Lovelace visited Turin ." | python flair_tagger.py tag --model MADE

MADE holds `flair.pt` and the folder `model`. Words are taken as they stand in the file. Loading the model and making
Flair's sentences of words is not counted.
"""

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import corpora
import flair
import flair_models
import torch
from flair.data import Sentence
from flair.models import SequenceTagger
from cells import cpu_model
from safetensors.torch import load_file

CHECKPOINT = "flair.pt"
FOLDER = "model"


def sentences_of(words: list[list[str]]) -> list[Sentence]:
    sentences = [Sentence(sentence) for sentence in words]
    assert [[token.text for token in sentence] for sentence in sentences] == words, "Flair changed the words"
    return sentences


def make(args: argparse.Namespace) -> None:
    torch.manual_seed(args.seed)
    if (args.out / FOLDER).exists():
        sys.exit(f"{args.out / FOLDER} is there already")
    dictionary = flair_models.characters_of(args.text, args.characters)
    models = [
        flair_models.language_model(dictionary, forward, args.hidden_dim, args.embedding_dim)
        for forward in (True, False)
    ]
    tagger = flair_models.tagger(models, args.tags, args.tagger_hidden_dim)
    if args.tags == "ner":
        flair_models.forbid(tagger)
    flair_models.spread(tagger, sentences_of(corpora.words(args.calibrate, 50)))
    args.out.mkdir(parents=True, exist_ok=True)
    flair_models.export(tagger, args.out / FOLDER)
    tagger.save(args.out / CHECKPOINT)
    parameters = sum(weight.numel() for weight in tagger.state_dict().values())
    print(json.dumps({"made": str(args.out), "characters": len(dictionary), "parameters": parameters}))


def load(args: argparse.Namespace) -> SequenceTagger:
    return SequenceTagger.load(args.model / CHECKPOINT).eval()


def found_by_flair(sentence: Sentence, layer: str) -> list:
    """Spans as `[first, end, label]`, or the labels of the words."""
    spans = sentence.get_spans(layer)
    if spans:
        return [[span.tokens[0].idx - 1, span.tokens[-1].idx, span.get_label(layer).value] for span in spans]
    return [token.get_label(layer).value for token in sentence if token.has_label(layer)]


def found_by_gloss(line: dict, layer: str) -> list:
    if not line["spans"]:
        return [token["labels"][layer]["label"] for token in line["tokens"] if layer in token.get("labels", {})]
    starts = {token["start"]: number for number, token in enumerate(line["tokens"])}
    ends = {token["end"]: number + 1 for number, token in enumerate(line["tokens"])}
    return [[starts[span["start"]], ends[span["end"]], span["label"]] for span in line["spans"]]


def verify(args: argparse.Namespace) -> None:
    words = corpora.words(args.file, args.sentences)
    tagger, sentences = load(args), sentences_of(words)
    layer = tagger.tag_type
    with tempfile.TemporaryDirectory() as temporary:
        tokens, vectors = Path(temporary) / "words.jsonl", Path(temporary) / "vectors.safetensors"
        tokens.write_text("".join(json.dumps({"tokens": sentence}) + "\n" for sentence in words), encoding="utf-8")
        common = ["-m", args.model.resolve() / FOLDER, "--precision", "f32", "--threads", str(args.threads), tokens]
        if "--precision" not in subprocess.run([args.gloss, "tag", "--help"], capture_output=True, text=True).stdout:
            del common[2:4]
        tagged = subprocess.run([args.gloss, "tag", "--to", "jsonl", *common], check=True, capture_output=True)
        subprocess.run([args.gloss, "embed", "-o", vectors, *common], check=True, capture_output=True)
        ours = load_file(vectors)["vectors"]
    tagger.predict(sentences, mini_batch_size=32, embedding_storage_mode="cpu")
    theirs = torch.stack([token.embedding for sentence in sentences for token in sentence])
    by_gloss = [found_by_gloss(json.loads(line), layer) for line in tagged.stdout.splitlines()]
    by_flair = [found_by_flair(sentence, layer) for sentence in sentences]
    differ = sum(one != other for one, other in zip(by_gloss, by_flair, strict=True))
    result = {
        "check": "labels and embeddings of Flair",
        "model": str(args.model),
        "sentences": len(words),
        "words": sum(map(len, words)),
        "labels": sum(map(len, by_flair)),
        "kinds_of_labels": len({found if isinstance(found, str) else found[2] for all in by_flair for found in all}),
        "sentences_that_differ": differ,
        "largest_difference_of_embeddings": (ours - theirs).abs().max().item(),
        "largest_embedding": theirs.abs().max().item(),
    }
    print(json.dumps(result))
    if differ or result["largest_difference_of_embeddings"] > args.tolerance:
        sys.exit(1)


def measure(args: argparse.Namespace) -> None:
    tagger, words = load(args), corpora.words(args.file, args.sentences)
    warm_up = 5 if args.latency else 2 * args.batch_size
    tagger.predict(sentences_of(words[:warm_up]), mini_batch_size=args.batch_size)
    for _ in range(args.runs):
        sentences = sentences_of(words)
        times, cpu_seconds = [], 0.0
        for part in [[sentence] for sentence in sentences] if args.latency else [sentences]:
            start, cpu_start = time.perf_counter(), time.process_time()
            tagger.predict(part, mini_batch_size=args.batch_size)
            times.append(time.perf_counter() - start)
            cpu_seconds += time.process_time() - cpu_start
        result = {
            "bench": "tagging latency" if args.latency else "tagging",
            "implementation": f"flair {flair.__version__}, torch {torch.__version__}",
            "cpu": cpu_model(),
            "model": str(args.model),
            "threads": args.threads,
            "batch_size": 1 if args.latency else args.batch_size,
            "sentences": len(words),
            "words": sum(map(len, words)),
            "seconds": sum(times),
            "cpu_seconds": cpu_seconds,
            "words_per_second": sum(map(len, words)) / sum(times),
        }
        if args.latency:
            times.sort()
            result |= {"median_ms": 1e3 * statistics.median(times), "p90_ms": 1e3 * times[len(times) * 9 // 10]}
        print(json.dumps(result), flush=True)


def tag(args: argparse.Namespace) -> None:
    """Labels lines of tokens, one by one."""
    tagger = load(args)
    for line in sys.stdin:
        sentence = Sentence(line.split())
        tagger.predict(sentence)
        print(sentence.to_tagged_string(), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    new = verbs.add_parser("make", help="a tagger of random weights, as Flair's checkpoint and as a model folder")
    new.add_argument("--hidden-dim", type=int, default=2048, help="units of each language model")
    new.add_argument("--embedding-dim", type=int, default=100)
    new.add_argument("--tagger-hidden-dim", type=int, default=256)
    new.add_argument("--tags", choices=["ner", "upos"], default="ner")
    new.add_argument("--text", type=Path, required=True, help="file whose characters make the dictionary")
    new.add_argument("--characters", type=int, default=300, help="size of the dictionary")
    new.add_argument("--calibrate", type=Path, required=True, help="file on whose words the labels are to vary")
    new.add_argument("--out", type=Path, required=True)
    new.add_argument("--seed", type=int, default=1)
    check = verbs.add_parser("verify", help="labels and embeddings of both")
    check.add_argument("--gloss", type=Path, required=True, help="the program")
    check.add_argument("--tolerance", type=float, default=1e-4, help="of embeddings")
    clock = verbs.add_parser("time", help="words per second of Flair, one JSON line a run")
    clock.add_argument("--batch-size", type=int, default=32)
    clock.add_argument("--latency", action="store_true", help="one sentence at a time")
    clock.add_argument("--runs", type=int, default=1)
    lines = verbs.add_parser("tag", help="labels lines of standard input, tokens divided by spaces")
    lines.add_argument("--model", type=Path, required=True, help="what `make` made")
    for verb, sentences in ((check, 200), (clock, None)):
        verb.add_argument("--model", type=Path, required=True, help="what `make` made")
        verb.add_argument("--file", type=Path, required=True, help=".conllu, or words in the first of tabbed columns")
        verb.add_argument("--sentences", type=int, default=sentences, help="only the first")
    for verb in (new, check, clock, lines):
        verb.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    flair.device = torch.device("cpu")
    logging.getLogger("flair").setLevel(logging.WARNING)  # It logs to standard output.
    torch.set_num_threads(args.threads)
    {"make": make, "verify": verify, "time": measure, "tag": tag}[args.verb](args)


if __name__ == "__main__":
    main()
