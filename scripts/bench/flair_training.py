"""Trains Flair's tagger for a fixed number of epochs and scores the model that was best on development data; one JSON
line a seed.

    python flair_training.py --train a.conllu --dev b.conllu --test c.conllu --models forward backward --seed 1 2 3

Flair's own recipe, its learning rate held at 0.1 all along. The language models are folders of ours, not trained on;
what they compute for the first seed is kept for the others. A .conllu file gives UPOS, scored by accuracy; words and
IOB2 tags in columns give spans, scored by micro-averaged F1.
"""

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path

import corpora
import flair
import flair_models
import torch
from cells import cpu_model
from flair.data import Corpus, Sentence
from flair.datasets import FlairDatapointDataset
from flair.models import SequenceTagger
from flair.trainers import ModelTrainer
from flair_epoch import dictionary, labelled, spans


def score(tagger: SequenceTagger, sentences: list[corpora.Labelled], layer: str) -> dict[str, float]:
    """Accuracy of words, or precision, recall and F1 of spans."""
    made = [Sentence(sentence.words) for sentence in sentences]
    tagger.predict(made, mini_batch_size=32, label_name="predicted")
    if layer == "upos":
        pairs = [
            (token.get_label("predicted").value, tag)
            for sentence, gold in zip(made, sentences, strict=True)
            for token, tag in zip(sentence, gold.tags, strict=True)
        ]
        return {"accuracy": sum(found == tag for found, tag in pairs) / len(pairs)}
    correct = found = wanted = 0
    for sentence, gold in zip(made, sentences, strict=True):
        own = {
            (label.data_point.tokens[0].idx - 1, label.data_point.tokens[-1].idx, label.value)
            for label in sentence.get_labels("predicted")
        }
        true = set(spans(gold.tags))
        correct, found, wanted = correct + len(own & true), found + len(own), wanted + len(true)
    precision, recall = correct / max(found, 1), correct / max(wanted, 1)
    return {"precision": precision, "recall": recall, "f1": 2 * correct / max(found + wanted, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs=2, required=True, help="language models, forward and backward")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--hidden-dim", type=int, default=256)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    flair.device = torch.device(args.device)
    logging.getLogger("flair").setLevel(logging.WARNING)
    layer = "upos" if args.train.suffix == ".conllu" else "ner"
    train, dev, test = (corpora.read(path) for path in (args.train, args.dev, args.test))
    stacked = flair_models.embeddings([flair_models.language_model_of(folder) for folder in args.models])
    train_set, dev_set = (FlairDatapointDataset([labelled(one, layer) for one in part]) for part in (train, dev))
    for seed in args.seed:
        flair.set_seed(seed)
        tagger = SequenceTagger(stacked, dictionary(train, layer), layer, hidden_size=args.hidden_dim)
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as temporary:
            ModelTrainer(tagger, Corpus(train=train_set, dev=dev_set, sample_missing_splits=False)).train(
                temporary,
                learning_rate=0.1,
                mini_batch_size=32,
                max_epochs=args.epochs,
                patience=args.epochs + 1,
                embeddings_storage_mode="gpu" if args.device == "cuda" else "cpu",
                save_final_model=False,
                create_file_logs=False,
                create_loss_file=False,
            )
            best = SequenceTagger.load(f"{temporary}/best-model.pt")
        seconds = time.perf_counter() - start
        result = {
            "bench": "tagger after training",
            "implementation": f"flair {flair.__version__}, torch {torch.__version__}",
            "device": args.device if args.device == "cuda" else cpu_model(),
            "layer": layer,
            "seed": seed,
            "epochs": args.epochs,
            "hidden_dim": args.hidden_dim,
            "threads": args.threads,
            "train_seconds": round(seconds, 1),
            **score(best, test, layer),
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
