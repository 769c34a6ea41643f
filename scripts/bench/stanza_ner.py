"""Times Stanza's entity tagger of random weights in its default shape; one JSON line a run, nothing is downloaded.

    python stanza_ner.py --train uner-train.tsv --file test.conllu --threads 2

Character language models of 1024 units in both directions, word vectors of 100 dimensions, BiLSTM of 256, CRF. Time is
that of `NERProcessor.process` on given words: the batches are made in it; loading and the document are not counted.
"""

import argparse
import json
import logging
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import corpora
import stanza
import torch
from cells import cpu_model
from stanza.models import charlm, ner_tagger
from stanza.models.common.char_model import CharacterLanguageModel
from stanza.models.common.doc import Document
from stanza.models.common.pretrain import Pretrain, PretrainedWordVocab
from stanza.models.common.vocab import CharVocab
from stanza.models.ner.data import DataLoader
from stanza.models.ner.trainer import Trainer
from stanza.pipeline.ner_processor import NERProcessor

EMISSION_SCALE = 20.0
OUTSIDE_BIAS = 2.0


def document(sentences: list[corpora.Labelled], with_tags: bool = False) -> Document:
    """Stanza's document of given words."""
    return Document(
        [
            [
                {"id": (number,), "text": word} | ({"ner": tag} if with_tags else {})
                for number, (word, tag) in enumerate(zip(sentence.words, sentence.tags, strict=True), 1)
            ]
            for sentence in sentences
        ]
    )


def save_language_models(folder: Path, sentences: list[corpora.Labelled]) -> list[Path]:
    """Files of a forward and a backward language model over the characters of the sentences."""
    args = charlm.build_argparse().parse_args([])
    words = (word for sentence in sentences for word in sentence.words)
    vocabulary = {"char": CharVocab([sorted({*"\n ", *"".join(words)})])}
    paths = []
    for is_forward in (True, False):
        model = CharacterLanguageModel(vars(args), vocabulary, is_forward_lm=is_forward)
        paths.append(folder / ("forward.pt" if is_forward else "backward.pt"))
        model.save(str(paths[-1]))
    return paths


def word_vectors(sentences: list[corpora.Labelled], dim: int) -> Pretrain:
    """Random vectors of all words."""
    words = sorted({word.lower() for sentence in sentences for word in sentence.words})
    vectors = Pretrain()
    vectors._vocab = PretrainedWordVocab(words, lower=True)
    vectors._emb = torch.randn(len(vectors._vocab), dim)
    return vectors


def build(train: list[corpora.Labelled]) -> tuple[Trainer, dict]:
    """A tagger of Stanza's defaults, and its arguments."""
    with tempfile.TemporaryDirectory() as temporary:
        forward, backward = save_language_models(Path(temporary), train)
        args = ner_tagger.parse_args(["--charlm", "--shorthand", "en_random"])
        args |= {"charlm_forward_file": str(forward), "charlm_backward_file": str(backward)}
        vectors = word_vectors(train, args["word_emb_dim"])
        loader = DataLoader(document(train, with_tags=True), args["batch_size"], args, vectors)
        trainer = Trainer(args, loader.vocab, vectors, device="cpu")
    # Labels vary, and most words are outside of entities, as in text.
    output = trainer.model.tag_clfs[0]
    with torch.no_grad():
        output.weight.mul_(EMISSION_SCALE)
        output.bias[loader.vocab["tag"].unit2id(("O",))] += OUTSIDE_BIAS
    return trainer, args


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="words and IOB2 tags, for the dictionaries")
    parser.add_argument("--file", type=Path, required=True, help="what is tagged")
    parser.add_argument("--sentences", type=int, help="only the first")
    parser.add_argument("--batch-size", type=int, help="sentences [default: Stanza's]")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.getLogger("stanza").setLevel(logging.WARNING)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    trainer, config = build(corpora.read(args.train))
    config["batch_size"] = args.batch_size or config["batch_size"]
    tagger = SimpleNamespace(trainers=[trainer], configs=[config])
    sentences = corpora.read(args.file, args.sentences)
    NERProcessor.process(tagger, document(sentences[: 2 * config["batch_size"]]))
    words = sum(len(sentence.words) for sentence in sentences)
    for _ in range(args.runs):
        fresh = document(sentences)
        start, cpu_start = time.perf_counter(), time.process_time()
        NERProcessor.process(tagger, fresh)
        seconds = time.perf_counter() - start
        result = {
            "bench": "tagging",
            "implementation": f"stanza {stanza.__version__}, torch {torch.__version__}",
            "cpu": cpu_model(),
            "threads": args.threads,
            "batch_size": config["batch_size"],
            "sentences": len(sentences),
            "words": words,
            "entities": len(fresh.ents),
            "seconds": seconds,
            "cpu_seconds": time.process_time() - cpu_start,
            "words_per_second": words / seconds,
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
