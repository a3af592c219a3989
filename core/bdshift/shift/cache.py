"""Embeddings on disk, so that the same model is run on the same images only once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from bdshift.checkpoints.classifier import Classifier
from bdshift.images.collection import ImageFile, Skipped
from bdshift.shift.embed import Embedding, Precision
from bdshift.words import Sentence
from bdshift.writing import clear_parts, written_whole

DEFAULT_LIMIT = 2 * 1024**3


class EmbeddingCache:
    """A folder of embeddings; the least recently used are deleted when it grows beyond ``limit``
    bytes.

    A cache never fails: what cannot be read is computed again, what cannot be written is not kept.
    """

    def __init__(self, folder: Path | None = None, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = folder or Path(platformdirs.user_cache_dir("bdshift")) / "embeddings"
        self.limit = limit

    @staticmethod
    def key(
        classifier: Classifier,
        images_hash: str,
        class_of_folder: Sequence[int],
        trigger: str,
        precision: Precision | None,
        batch: int | None,
    ) -> str:
        """Name of an entry: a hash of everything that the numbers depend on."""
        parts = [
            classifier.sha256,
            classifier.architecture,
            astuple(classifier.preprocessing) if classifier.preprocessing else None,
            images_hash,
            list(class_of_folder),
            trigger,
            precision,
            batch,
            classifier.weight.device.type,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def load(self, key: str) -> Embedding | None:
        """The entry, or None if there is none or it cannot be read."""
        path = self.folder / f"{key}.npz"
        try:
            with np.load(path, allow_pickle=False) as found:
                about = json.loads(found["about"].tobytes())
                embedding = Embedding(
                    phi=found["phi"],
                    logits=found["logits"],
                    labels=found["labels"],
                    thumbnails=found["thumbnails"],
                    files=tuple(ImageFile(*row) for row in about["files"]),
                    images_hash=about["images_hash"],
                    skipped=tuple(
                        Skipped(name, _sentence(reason)) for name, reason in about["skipped"]
                    ),
                    precision=about["precision"],
                    batch=about["batch"],
                    seconds=about["seconds"],
                )
            os.utime(path)
        except Exception:  # whatever is wrong with a cache file, the answer is to compute it again
            return None
        return embedding

    def save(self, key: str, embedding: Embedding) -> None:
        """Store an embedding, and make room for it."""
        about = {
            "files": [astuple(file) for file in embedding.files],
            "images_hash": embedding.images_hash,
            "skipped": [(skip.name, _to_json(skip.reason)) for skip in embedding.skipped],
            "precision": embedding.precision,
            "batch": embedding.batch,
            "seconds": embedding.seconds,
        }
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_whole(self.folder / f"{key}.npz") as stream:
                np.savez(
                    stream,
                    phi=embedding.phi,
                    logits=embedding.logits,
                    labels=embedding.labels,
                    thumbnails=embedding.thumbnails,
                    about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
                )
            self._make_room()

    def _make_room(self) -> None:
        clear_parts(self.folder)
        entries = sorted(self.folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in entries)
        for path in entries:
            if total <= self.limit:
                return
            total -= path.stat().st_size
            path.unlink(missing_ok=True)


def _to_json(value: Any) -> Any:
    """A sentence, or one of its values, as JSON: a sentence is an object."""
    if isinstance(value, Sentence):
        values = {name: _to_json(one) for name, one in value.values.items()}
        return {"template": value.template, "values": values}
    if isinstance(value, (tuple, list)):
        return [_to_json(one) for one in value]
    return value if isinstance(value, (str, int, float)) else str(value)


def _sentence(found: Any) -> Sentence:
    """The sentence that `_to_json` wrote. Raises some exception for anything else."""
    sentence = Sentence(
        found["template"], {name: _value(one) for name, one in found["values"].items()}
    )
    str(sentence)  # fails if its values do not fit
    return sentence


def _value(found: Any) -> Any:
    if isinstance(found, list):
        return tuple(map(_value, found))
    return _sentence(found) if isinstance(found, dict) else found


def requested_hash(files: Sequence[ImageFile], digests: Sequence[bytes]) -> str:
    """Hash of the files that were requested, in their order, whether they can be decoded or not."""
    digest = hashlib.sha256()
    for file, content in zip(files, digests, strict=True):
        digest.update(f"{file.name}\0{file.label}\0".encode("utf-8", "surrogateescape") + content)
    return digest.hexdigest()
