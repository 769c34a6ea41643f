"""Writes and reads model folders of this toolkit: config.json, dictionary.json, model.safetensors, lm/<hash>/."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

FORMAT = 1


def content_hash(folder: Path) -> str:
    """SHA-256 of name and content of the files in order, each after its length as eight bytes."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.suffix == ".md":
            continue
        for part in (path.name.encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def write(folder: Path, config: dict, weights: Mapping[str, Tensor], dictionary: list[str] | None = None) -> None:
    """A model of f32 weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"kind": config.pop("kind"), "format": FORMAT, "precision": "f32", **config}
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    if dictionary is not None:
        (folder / "dictionary.json").write_text(json.dumps(dictionary, ensure_ascii=False), encoding="utf-8")
    tensors = {name: weight.detach().float().contiguous() for name, weight in weights.items()}
    save_file(tensors, folder / "model.safetensors")


def write_language_model(
    tagger: Path, forward: bool, dictionary: list[str], weights: Mapping[str, Tensor], delimiter: str = "\n"
) -> str:
    """A language model of one LSTM layer inside of a tagger's folder; returns its hash."""
    shape = {
        "direction": "forward" if forward else "backward",
        "hidden_dim": weights["rnn.weight_hh_l0"].shape[1],
        "embedding_dim": weights["encoder.weight"].shape[1],
        "document_delimiter": delimiter,
    }
    made = tagger / "lm" / "new"
    write(made, {"kind": "language-model", "language_model": shape}, weights, dictionary)
    name = content_hash(made)
    made.rename(made.with_name(name))
    return name


def read_language_model(folder: Path) -> tuple[dict, list[str], dict[str, Tensor]]:
    """Architecture, dictionary and f32 weights."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))["language_model"]
    dictionary = json.loads((folder / "dictionary.json").read_text(encoding="utf-8"))
    weights = {name: weight.float() for name, weight in load_file(folder / "model.safetensors").items()}
    return config, dictionary, weights
