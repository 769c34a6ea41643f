"""Flair's language models and taggers, made of random weights or of the weights of model folders."""

from pathlib import Path

import folders
import torch
from flair.data import Dictionary, Sentence
from flair.embeddings import FlairEmbeddings, StackedEmbeddings
from flair.models import LanguageModel, SequenceTagger
from torch import Tensor

UNKNOWN = "<unk>"
UPOS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
SPANS = ["PER", "ORG", "LOC"]
FORBIDDEN = -10000.0
OUTSIDE_SHARE = 0.8
"""Part of the words that the emission scores of a random tagger put outside of all spans."""


def characters_of(path: Path, total: int) -> list[str]:
    """A dictionary of `total` items: `<unk>`, the characters of a text, and as many others as it lacks."""
    found = sorted(set(path.read_text(encoding="utf-8")) | {"\n", " "})[: total - 1]
    others = (chr(code) for code in range(0xA1, 0x10000) if chr(code).isprintable())
    fill = [character for character in others if character not in found]
    return [UNKNOWN, *found, *fill[: total - 1 - len(found)]]


def language_model(dictionary: list[str], forward: bool, hidden_dim: int, embedding_dim: int = 100) -> LanguageModel:
    """One of random weights, its inputs larger than Flair makes them, so that its states tell characters apart."""
    items = Dictionary(add_unk=True)
    for character in dictionary[1:]:
        items.add_item(character)
    model = LanguageModel(items, forward, hidden_dim, nlayers=1, embedding_size=embedding_dim)
    with torch.no_grad():
        model.encoder.weight.uniform_(-1, 1)
        model.rnn.weight_ih_l0.uniform_(-0.2, 0.2)
    return model.eval()


def language_model_of(folder: Path) -> LanguageModel:
    """That of a model folder."""
    config, dictionary, weights = folders.read_language_model(folder)
    forward = config["direction"] == "forward"
    model = language_model(dictionary, forward, config["hidden_dim"], config["embedding_dim"])
    model.load_state_dict(weights)
    return model


def embeddings(models: list[LanguageModel]) -> StackedEmbeddings:
    return StackedEmbeddings([FlairEmbeddings(model) for model in models])


def tag_dictionary(tags: str) -> Dictionary:
    """Labels of `ner` or `upos`."""
    dictionary = Dictionary(add_unk=False)
    for label in SPANS if tags == "ner" else UPOS:
        dictionary.add_item(label)
    dictionary.span_labels = tags == "ner"
    return dictionary


def may_follow(before: str, after: str) -> bool:
    """Whether BIOES allows it; the borders of a sentence are as `O`."""
    is_open = before[:2] in ("B-", "I-")
    continues = after[:2] in ("I-", "E-")
    return is_open == continues and (not is_open or before[2:] == after[2:])


def tag_names(tagger: SequenceTagger) -> list[str]:
    """Its tags without those of the borders."""
    return [name for name in tagger.label_dictionary.get_items() if name not in ("<START>", "<STOP>")]


def forbid(tagger: SequenceTagger) -> None:
    """Makes its CRF refuse what BIOES does, as Flair's own does not."""
    names = [name if name[0] != "<" else "O" for name in tagger.label_dictionary.get_items()]
    allowed = torch.tensor([[may_follow(before, after) for before in names] for after in names])
    with torch.no_grad():
        tagger.crf.transitions.masked_fill_(~allowed, FORBIDDEN)


@torch.no_grad()
def spread(tagger: SequenceTagger, sentences: list[Sentence]) -> None:
    """Scales the emission scores to mean 0 and deviation 2 over these sentences, so that labels vary.

    In a tagger of spans most words are outside of them, as in text.
    """
    scores = emissions(tagger, sentences)
    scale = 2 / scores.std(0)
    tagger.linear.weight.mul_(scale[:, None])
    tagger.linear.bias.copy_((tagger.linear.bias - scores.mean(0)) * scale)
    if tagger.predict_spans:
        n_tags = len(tag_names(tagger))
        scores = emissions(tagger, sentences)[:, :n_tags]
        behind = scores[:, 1:].max(1).values - scores[:, 0]
        tagger.linear.bias[0] += behind.quantile(OUTSIDE_SHARE)


@torch.no_grad()
def emissions(tagger: SequenceTagger, sentences: list[Sentence]) -> Tensor:
    """`[all tokens, tags]`, the longest sentence first; from before the CRF, which returns sums with transitions."""
    seen = []
    hook = tagger.linear.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    tensor, lengths = tagger._prepare_tensors(sorted(sentences, key=len, reverse=True))
    tagger.forward(tensor, lengths)
    hook.remove()
    clear(sentences)
    return torch.cat([scores[:length] for scores, length in zip(seen[0], lengths, strict=True)])


def clear(sentences: list[Sentence]) -> None:
    for sentence in sentences:
        sentence.clear_embeddings()


def tagger(models: list[LanguageModel], tags: str, hidden_dim: int = 256) -> SequenceTagger:
    """Flair's default: reprojection, BiLSTM, CRF; random weights."""
    return SequenceTagger(embeddings(models), tag_dictionary(tags), tags, hidden_size=hidden_dim).eval()


def export(tagger: SequenceTagger, folder: Path) -> None:
    """Writes the same weights as a model folder."""
    names = tag_names(tagger)
    models = [embedding.lm for embedding in tagger.embeddings.embeddings]
    hashes = [
        folders.write_language_model(
            folder, model.is_forward_lm, model.dictionary.get_items(), model.state_dict(), model.document_delimiter
        )
        for model in models
    ]
    state = tagger.state_dict()
    kinds = {"embedding2nn.": "reprojection.", "rnn.": "rnn.", "linear.": "output."}
    weights = {
        new + name.removeprefix(old): weight
        for name, weight in state.items()
        for old, new in kinds.items()
        if name.startswith(old)
    }
    for part in ("output.weight", "output.bias"):
        weights[part] = weights[part][: len(names)]
    weights["crf.transitions"] = transitions(tagger)
    config = {
        "kind": "tagger",
        "layer": tagger.tag_type,
        "scheme": "bioes" if tagger.predict_spans else None,
        "labels": names,
        "tagger": {
            "hidden_dim": tagger.hidden_size,
            "reprojection_dim": tagger.embedding2nn.out_features,
            "embeddings": [{"type": "contextual", "model": name} for name in hashes],
        },
    }
    folders.write(folder, config, weights)


def transitions(tagger: SequenceTagger) -> Tensor:
    """From Flair's `[to, from]`, borders included, to `[tags + 2, tags]`: from each tag, from the start, to the end."""
    scores, n_tags = tagger.crf.transitions, len(tag_names(tagger))
    index = tagger.label_dictionary.get_idx_for_item
    inner, start = scores[:n_tags, :n_tags].t(), scores[:n_tags, index("<START>")]
    return torch.cat([inner, start[None], scores[index("<STOP>"), :n_tags][None]])
