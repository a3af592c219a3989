"""Embeddings on disk, so that the same model is run on the same images only once."""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier
from bdshift.files import cache_folder, open_regular
from bdshift.images.collection import ImageFile, Skipped
from bdshift.images.loader import content_hash
from bdshift.json_data import parse_json
from bdshift.shift.embed import Embedding, Precision
from bdshift.shift.thumbnails import THUMBNAIL
from bdshift.words import Sentence
from bdshift.writing import clear_parts, written_whole

DEFAULT_LIMIT = 2 * 1024**3
_MAX_FREE = {"about": 256 * 1024**2, "thumbnails": THUMBNAIL}
"""Sizes of an entry's arrays that do not follow from the model and the images."""

_MAX_VALUES = 100  # in JSON, for each image: its name, label and perhaps why it was skipped


class EmbeddingCache:
    """A folder of embeddings; the least recently used are deleted when it grows beyond ``limit``
    bytes.

    A cache never fails: what cannot be read is computed again, what cannot be written is not kept.
    """

    def __init__(self, folder: Path | None = None, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = folder or cache_folder() / "embeddings"
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

    def load(
        self,
        key: str,
        classifier: Classifier,
        files: Sequence[ImageFile],
        digests: Sequence[bytes],
        class_of_folder: Sequence[int],
    ) -> Embedding | None:
        """The entry, or None if there is none, it cannot be read, or it cannot be an embedding by
        ``classifier`` of ``files``, whose contents have these ``digests``. No more is read than
        such an embedding takes.
        """
        path = self.folder / f"{key}.npz"
        try:
            with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
                text = _member(archive, "about", np.uint8, (None,)).tobytes()
                about = parse_json(text, _MAX_VALUES * (1 + len(files)))
                done = tuple(ImageFile(*row) for row in about["files"])
                known, held = dict(zip(files, digests, strict=True)), set(done)
                if not done or list(done) != [one for one in files if one in held]:
                    return None
                count, wide = len(done), classifier.embedding_dim
                embedding = Embedding(
                    phi=_member(archive, "phi", np.float32, (count, wide)),
                    logits=_member(archive, "logits", np.float32, (count, classifier.classes)),
                    labels=_member(archive, "labels", np.int64, (count,)),
                    thumbnails=_member(archive, "thumbnails", np.uint8, (count, 3, None, None)),
                    files=done,
                    images_hash=content_hash(done, [known[one] for one in done]),
                    skipped=tuple(
                        Skipped(name, _sentence(reason)) for name, reason in about["skipped"]
                    ),
                    precision="bfloat16" if about["precision"] == "bfloat16" else "float32",
                    batch=int(about["batch"]),
                    seconds=float(about["seconds"]),
                )
            os.utime(path)
            return embedding if _fits(embedding, classifier, class_of_folder) else None
        except Exception:  # whatever is wrong with a cache file, the answer is to compute it again
            return None

    def save(self, key: str, embedding: Embedding) -> None:
        """Store an embedding that is within the limit, and make room for it."""
        arrays = embedding.phi, embedding.logits, embedding.thumbnails
        if sum(one.nbytes for one in arrays) > self.limit:
            return
        about = {
            "files": [astuple(file) for file in embedding.files],
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


def _member(
    archive: zipfile.ZipFile, name: str, dtype: Any, shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """An array of this type and shape, where None is any size up to `_MAX_FREE`. Raises some
    exception for anything else, before it is read.
    """
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(name)
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(name)
        found, by_column, kind = np.lib.format.read_array_header_1_0(stream)
        wanted = zip(found, shape, strict=True)
        if (
            by_column
            or kind != np.dtype(dtype)
            or not all(
                0 <= size <= _MAX_FREE[name] if most is None else size == most
                for size, most in wanted
            )
        ):
            raise ValueError(name)
        data = bytearray(math.prod(found) * kind.itemsize)
        if stream.readinto(data) != len(data) or stream.read(1):  # type: ignore[attr-defined]
            raise ValueError(name)
    return np.frombuffer(data, kind).reshape(found)


def _fits(found: Embedding, classifier: Classifier, class_of_folder: Sequence[int]) -> bool:
    """Whether the logits are the head's, the labels those of the files, and all of it finite."""
    expected = np.asarray(class_of_folder, np.int64)[[file.label for file in found.files]]
    weight, bias = classifier.weight.cpu().numpy(), classifier.bias.cpu().numpy()
    logits = found.phi @ weight.T + bias
    side = found.thumbnails.shape[2]
    return bool(
        np.isfinite(found.phi).all()
        and np.isfinite(found.logits).all()
        and np.allclose(found.logits, logits, 1e-3, 1e-3 * (1 + np.abs(logits).max()))
        and np.array_equal(found.labels, expected)
        and found.thumbnails.shape[3] == side >= 1
        and found.batch >= 1
        and 0 <= found.seconds < math.inf
    )


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
