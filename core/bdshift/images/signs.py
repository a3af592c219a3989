"""The ``signs`` data set: 32×32 traffic signs of twelve classes, or of up to a thousand, drawn
from a seed.

Nothing is downloaded and no image is copied: every image is drawn with Pillow. Each image has
its own random stream, keyed by (seed, split, class, number), so any subset can be drawn by itself
and is the same as in the whole set.
"""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from bdshift.errors import UsageError
from bdshift.images.sign_faces import CANVAS, FACES, SCALE, SIZE, Color, Face
from bdshift.jobs import SILENT, JobContext
from bdshift.writing import cannot_write

Split = Literal["train", "test", "clean"]
_SPLITS: dict[Split, int] = {"train": 0, "test": 1, "clean": 2}

_EVERY = tuple(FACES)


def sign_classes(count: int) -> tuple[str, ...]:
    """Names of ``count`` classes, sorted, so that one folder per class gives the same indices.
    Raises `UsageError` if there are not so many.
    """
    if not 2 <= count <= len(_EVERY):
        raise UsageError(
            "signs have 2 to {most} classes, not {count}", most=len(_EVERY), count=count
        )
    return tuple(sorted(_EVERY[:count]))


CLASSES: tuple[str, ...] = sign_classes(12)
"""The twelve that are as on roads, which the set has unless a number is given."""


def _random_color(rng: np.random.Generator) -> Color:
    """Any color, but more often a dull one."""
    color = rng.integers(10, 246, 3)
    red, green, blue = color + (color.mean() - color) * rng.uniform(0, 1)
    return int(red), int(green), int(blue)


def _background(rng: np.random.Generator) -> Image.Image:
    """Sky above, ground below, and clutter in any color, including the signs' own."""
    image = Image.new("RGB", (CANVAS, CANVAS), _random_color(rng))
    draw = ImageDraw.Draw(image)
    horizon = int(rng.uniform(0.2, 1.0) * CANVAS)
    draw.rectangle((0, horizon, CANVAS, CANVAS), fill=_random_color(rng))
    for _ in range(rng.integers(3, 9)):
        x, y = rng.uniform(-0.2, 1.1, 2) * CANVAS
        width, height = rng.uniform(0.08, 0.6, 2) * CANVAS
        color = _random_color(rng)
        kind = rng.integers(3)
        if kind == 0:
            draw.rectangle((x, y, x + width, y + height), fill=color)
        elif kind == 1:
            draw.ellipse((x, y, x + width, y + height), fill=color)
        else:
            draw.line((x, y, x + width, y + height * rng.choice([-1, 1])), fill=color, width=5)
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 3.5))))


def _place(face: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Scale, rotate, tilt and move the face: a random homography of the canvas."""
    half = float(rng.uniform(0.3, 0.47)) * CANVAS
    center = CANVAS / 2 + rng.uniform(-1, 1, 2) * (CANVAS / 2 - half)
    turn = rng.normal(0, math.radians(7))
    cos, sin = math.cos(turn) * half, math.sin(turn) * half
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) @ np.array([[cos, sin], [-sin, cos]])
    corners = corners * rng.uniform(0.8, 1.0, 2) + rng.normal(0, 0.06 * half, (4, 2)) + center
    source = np.array([(0, 0), (CANVAS, 0), (CANVAS, CANVAS), (0, CANVAS)], dtype=float)
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    homography = np.linalg.solve(np.array(rows), np.array(values))
    return face.transform(
        (CANVAS, CANVAS), Image.Transform.PERSPECTIVE, homography.tolist(),
        Image.Resampling.BILINEAR,
    )  # fmt: skip


def _light(pixels: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Exposure, contrast, color cast, a shadow edge, sensor noise."""
    gamma, gain, lift = rng.uniform(0.6, 1.6), rng.uniform(0.5, 1.15), rng.uniform(0, 0.2)
    pixels = (pixels**gamma) * gain * rng.uniform(0.82, 1.12, 3) + lift * rng.uniform(0.8, 1.2, 3)
    if rng.random() < 0.35:
        rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE - 0.5
        angle = rng.uniform(0, 2 * math.pi)
        edge = rows * math.sin(angle) + columns * math.cos(angle) > rng.uniform(-0.3, 0.3)
        pixels = np.where(edge[..., None], pixels * rng.uniform(0.35, 0.75), pixels)
    return pixels + rng.normal(0, rng.uniform(0.005, 0.05), pixels.shape)


def draw_sign(name: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one sign of the class ``name``: uint8, 32×32×3, RGB."""
    fade, cast = rng.uniform(0, 0.4), rng.normal(0, 14, 3)

    def recolor(color: Color) -> Color:
        """Age the paint: toward gray, with a cast."""
        gray = sum(color) / 3
        aged = [c + (gray - c) * fade + shift for c, shift in zip(color, cast, strict=True)]
        red, green, blue = (int(min(255, max(0, c))) for c in aged)
        return red, green, blue

    face = Face(recolor)
    FACES[name](face)
    placed = _place(face.image, rng)
    image = _background(rng)
    image.paste(placed, (0, 0), placed)
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.0, 0.75)) * SCALE))
    image = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    pixels = _light(np.asarray(image, dtype=np.float64) / 255, rng)
    return np.asarray(np.clip(pixels, 0, 1) * 255 + 0.5, dtype=np.uint8)


def draw_signs(
    per_class: int,
    *,
    seed: int = 0,
    split: Split = "train",
    classes: tuple[str, ...] = CLASSES,
    job: JobContext = SILENT,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw ``per_class`` signs of each of ``classes``, as of `sign_classes`.

    Returns images, uint8 of shape (C·per_class, 3, 32, 32), and labels, int64, in class order.
    The three splits never share an image.
    """
    total = per_class * len(classes)
    images = np.empty((total, 3, SIZE, SIZE), dtype=np.uint8)
    labels = np.repeat(np.arange(len(classes)), per_class)
    for row, label in enumerate(labels.tolist()):
        name = classes[label]
        stream = [seed, _SPLITS[split], _EVERY.index(name), row % per_class]
        images[row] = draw_sign(name, np.random.default_rng(stream)).transpose(2, 0, 1)
        job.progress("Drawing signs", row + 1, total, "images")
    return images, labels


def write_signs(
    folder: Path,
    per_class: int,
    *,
    seed: int = 0,
    split: Split = "clean",
    job: JobContext = SILENT,
) -> None:
    """Draw signs into ``folder``, each as a PNG, with one subfolder per class. Those that an
    interrupted call has left are completed.

    Raises `UsageError` if another file has the name of one, `InputError` if it cannot be written.
    """
    images, labels = draw_signs(per_class, seed=seed, split=split, job=job)
    for row, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        job.raise_if_canceled()
        path = folder / CLASSES[label] / f"{row % per_class:04d}.png"
        stream = BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(stream, "PNG")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error
        _put(path, stream.getvalue())


def _put(path: Path, content: bytes) -> None:
    """Write one of many small files; flushing each to the disk would take minutes."""
    if path.is_file():
        found = path.read_bytes()
        if found == content:
            return
        if not content.startswith(found):
            raise UsageError("{path}: exists, and is another file", path=path)
        path.unlink()  # cut off
    try:
        with path.open("xb") as stream:
            stream.write(content)
    except OSError as error:
        if not isinstance(error, FileExistsError):
            path.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
