"""Reads the files that the benchmarks run on: words of CoNLL-U, or of columns divided by tabs."""

from dataclasses import dataclass
from pathlib import Path

UPOS_COLUMN = 3


@dataclass
class Labelled:
    """Words of a sentence, with one tag each: UPOS of CoNLL-U, else the second column."""

    words: list[str]
    tags: list[str]


def read(path: Path, limit: int | None = None) -> list[Labelled]:
    """The first `limit` sentences of a file, ranges of multiword tokens and empty nodes left out."""
    is_conllu = path.suffix == ".conllu"
    word_column, tag_column = (1, UPOS_COLUMN) if is_conllu else (0, 1)
    sentences = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.split("\t") for line in block.split("\n") if line and not (is_conllu and line.startswith("#"))]
        rows = [row for row in rows if not is_conllu or row[0].isdigit()]
        if rows:
            sentences.append(Labelled([row[word_column] for row in rows], [row[tag_column] for row in rows]))
        if len(sentences) == limit:
            break
    return sentences


def words(path: Path, limit: int | None = None) -> list[list[str]]:
    return [sentence.words for sentence in read(path, limit)]
