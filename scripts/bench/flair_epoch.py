"""Times an epoch of Flair's training of a tagger whose contextual embeddings are kept in memory; one JSON line.

    python flair_epoch.py --train train.conllu --models crates/model-en-lm/model/forward crates/model-en-lm/model/backward

The first epoch computes the embeddings, the last one is measured: SGD at 0.1, dropout as Flair's default, no
evaluation. A .conllu file gives UPOS; words and IOB2 tags in columns give spans. Without `--models` two language
models of random weights, 512 units each, take their place.
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
from flair.data import Corpus, Dictionary, Sentence
from flair.datasets import FlairDatapointDataset
from flair.models import SequenceTagger
from flair.trainers import ModelTrainer
from flair.trainers.plugins import TrainerPlugin
from cells import cpu_model


class Clock(TrainerPlugin):
    """Seconds of each epoch's training."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.start = 0.0

    @TrainerPlugin.hook
    def before_training_epoch(self, **_kw) -> None:
        self.start = time.perf_counter()

    @TrainerPlugin.hook
    def after_training_epoch(self, **_kw) -> None:
        self.seconds.append(time.perf_counter() - self.start)


def spans(tags: list[str]) -> list[tuple[int, int, str]]:
    """First word, word after the last, and class of each span of IOB2 tags."""
    found: list[tuple[int, int, str]] = []
    for position, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((position, position + 1, tag[2:]))
        elif tag.startswith("I-") and found:
            found[-1] = (found[-1][0], position + 1, found[-1][2])
    return found


def labelled(sentence: corpora.Labelled, layer: str) -> Sentence:
    """Flair's sentence with its gold labels."""
    made = Sentence(sentence.words)
    if layer == "upos":
        for token, tag in zip(made, sentence.tags, strict=True):
            token.add_label(layer, tag)
    else:
        for start, end, label in spans(sentence.tags):
            made[start:end].add_label(layer, label)
    return made


def dictionary(sentences: list[corpora.Labelled], layer: str) -> Dictionary:
    found = Dictionary(add_unk=False)
    classes = ((span[2] for span in spans(s.tags)) if layer == "ner" else s.tags for s in sentences)
    for label in sorted({label for labels in classes for label in labels}):
        found.add_item(label)
    found.span_labels = layer == "ner"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--sentences", type=int, help="only the first")
    parser.add_argument("--models", type=Path, nargs=2, help="folders of language models, forward and backward")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    flair.device = torch.device("cpu")
    flair.set_seed(args.seed)
    logging.getLogger("flair").setLevel(logging.WARNING)
    layer = "upos" if args.train.suffix == ".conllu" else "ner"
    sentences = corpora.read(args.train, args.sentences)
    if args.models:
        models = [flair_models.language_model_of(folder) for folder in args.models]
    else:
        characters = sorted({character for s in sentences for word in s.words for character in word} | {"\n", " "})
        characters.insert(0, flair_models.UNKNOWN)
        models = [flair_models.language_model(characters, forward, 512) for forward in (True, False)]
    tagger = SequenceTagger(flair_models.embeddings(models), dictionary(sentences, layer), layer)
    data = FlairDatapointDataset([labelled(sentence, layer) for sentence in sentences])
    clock = Clock()
    with tempfile.TemporaryDirectory() as temporary:
        ModelTrainer(tagger, Corpus(train=data, sample_missing_splits=False)).train(
            temporary,
            learning_rate=0.1,
            mini_batch_size=args.batch_size,
            max_epochs=args.epochs,
            embeddings_storage_mode="cpu",
            train_with_dev=True,
            save_final_model=False,
            create_file_logs=False,
            create_loss_file=False,
            plugins=[clock],
        )
    words = sum(len(sentence.words) for sentence in sentences)
    result = {
        "bench": "tagger training epoch",
        "implementation": f"flair {flair.__version__}, torch {torch.__version__}",
        "cpu": cpu_model(),
        "layer": layer,
        "threads": args.threads,
        "batch_size": args.batch_size,
        "sentences": len(sentences),
        "words": words,
        "first_epoch_seconds": clock.seconds[0],
        "seconds": clock.seconds[-1],
        "words_per_second": words / clock.seconds[-1],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
