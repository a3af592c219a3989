"""Embeddings on disk, so that the same model on the same images is run through only once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import numpy as np
import platformdirs

from bdshift.checkpoints.classifier import Classifier
from bdshift.files import written_whole
from bdshift.images.collection import ImageFile, Skipped
from bdshift.shift.embed import Embedding, Precision

DEFAULT_LIMIT = 2 * 1024**3


class EmbeddingCache:
    """A folder of embeddings; the least recently used go when it grows over ``limit`` bytes.

    A cache never fails: what cannot be read is computed again, what cannot be written is left.
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
    ) -> str:
        """Name of an entry: everything that decides the numbers, hashed."""
        parts = [
            classifier.sha256,
            classifier.architecture,
            astuple(classifier.preprocessing) if classifier.preprocessing else None,
            images_hash,
            list(class_of_folder),
            trigger,
            precision,
            classifier.weight.device.type,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def load(self, key: str) -> Embedding | None:
        """The entry, or None if there is none, or none that can be read."""
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
                    skipped=tuple(Skipped(*row) for row in about["skipped"]),
                    precision=about["precision"],
                    batch=about["batch"],
                    seconds=about["seconds"],
                )
            os.utime(path)
        except Exception:  # whatever is wrong with a cache file, the answer is to compute again
            return None
        return embedding

    def save(self, key: str, embedding: Embedding) -> None:
        """Keep an embedding, and make room for it."""
        about = {
            "files": [astuple(file) for file in embedding.files],
            "images_hash": embedding.images_hash,
            "skipped": [astuple(skip) for skip in embedding.skipped],
            "precision": embedding.precision,
            "batch": embedding.batch,
            "seconds": embedding.seconds,
        }
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_whole(self.folder / f"{key}.npz") as part, part.open("wb") as stream:
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
        entries = sorted(self.folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in entries)
        for path in entries:
            if total <= self.limit:
                return
            total -= path.stat().st_size
            path.unlink(missing_ok=True)


def requested_hash(files: Sequence[ImageFile], digests: Sequence[bytes]) -> str:
    """Hash of the files that were asked for, in their order, decodable or not."""
    digest = hashlib.sha256()
    for file, content in zip(files, digests, strict=True):
        digest.update(f"{file.name}\0{file.label}\0".encode("utf-8", "surrogateescape") + content)
    return digest.hexdigest()
