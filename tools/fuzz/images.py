"""The readers of images: a picture, a set of them in one file, a table of labels beside them."""

from __future__ import annotations

from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.decode import decode_image, image_size, is_turned
from bdshift.images.framing import USUAL
from tools.fuzz.checkpoints import Judge
from tools.fuzz.target import Scratch

SET_NAMES = (
    "set.zip", "set.tar", "set.npz", "set.npy", "set.h5", "set.csv", "set.parquet", "set.gz",
    "images-idx3-ubyte", "test_batch.bin", "set.pkl", "set.arrow",
)  # fmt: skip
LABEL_NAMES = ("labels.csv", "labels.txt", "labels.json", "labels.npy", "labels.pkl", "labels.npz")
_SIDE, _READ = 16, 3


def picture(_: Scratch, data: bytes) -> Judge:
    """Any encoded image: its header, its orientation, its pixels."""

    def read() -> None:
        is_turned(data)
        image_size(data)
        decode_image(data, _SIDE)

    return read


def image_set(scratch: Scratch, data: bytes) -> Judge:
    """A file of many images. The first byte chooses its name; a few images are decoded."""
    name = SET_NAMES[data[0] % len(SET_NAMES)] if data else SET_NAMES[0]
    path = scratch.file(name, data[1:])

    def read() -> None:
        found = open_images(path)
        for file in found.files[:_READ]:
            found.pixels(file, _SIDE, USUAL)

    return read


def labels(scratch: Scratch, data: bytes) -> Judge:
    """A folder of images in which a file says what they show. The first byte chooses its name."""
    name = LABEL_NAMES[data[0] % len(LABEL_NAMES)] if data else LABEL_NAMES[0]
    for other in LABEL_NAMES:
        (scratch.folder / other).unlink(missing_ok=True)
    for number in range(_READ):
        scratch.file(f"{number}.ppm", b"P6 1 1 255\n" + bytes([number, 0, 0]))
    scratch.file(name, data[1:])

    def read() -> None:
        if not open_images(scratch.folder).labeled:
            raise InputError("labels nothing")

    return read
