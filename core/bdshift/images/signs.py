"""The ``signs`` data set: 32×32 traffic signs of twelve classes, drawn from a seed.

Nothing is downloaded and no image is copied: every image is drawn with Pillow. Each image has
its own random stream, keyed by (seed, split, class, number), so any subset can be drawn by itself
and is the same as in the whole set.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from bdshift.errors import UsageError
from bdshift.jobs import SILENT, JobContext
from bdshift.writing import cannot_write

Split = Literal["train", "test", "clean"]
Color = tuple[int, int, int]
Point = tuple[float, float]

SIZE = 32
_SCALE = 3  # drawn three times as large, then averaged down, for smooth edges
_CANVAS = SIZE * _SCALE
_SPLITS: dict[Split, int] = {"train": 0, "test": 1, "clean": 2}

_RED, _BLUE, _YELLOW = (196, 30, 42), (24, 88, 168), (244, 196, 24)
_WHITE, _BLACK = (244, 244, 240), (26, 26, 28)


class _Face:
    """A sign's face in unit coordinates (−1…1, y down), drawn on a transparent square."""

    def __init__(self, recolor: Callable[[Color], Color]) -> None:
        self.image = Image.new("RGBA", (_CANVAS, _CANVAS), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)
        self._recolor = recolor

    def _at(self, x: float, y: float) -> Point:
        half = _CANVAS / 2
        return half + x * half, half + y * half

    def polygon(self, points: list[Point], fill: Color) -> None:
        self._draw.polygon([self._at(x, y) for x, y in points], fill=self._recolor(fill))

    def regular(self, sides: int, radius: float, turn: float, fill: Color) -> None:
        angles = [turn + 2 * math.pi * k / sides for k in range(sides)]
        self.polygon([(radius * math.sin(a), -radius * math.cos(a)) for a in angles], fill)

    def disc(self, radius: float, fill: Color, x: float = 0.0, y: float = 0.0) -> None:
        box = (self._at(x - radius, y - radius), self._at(x + radius, y + radius))
        self._draw.ellipse(box, fill=self._recolor(fill))

    def bar(self, left: float, top: float, right: float, bottom: float, fill: Color) -> None:
        box = (self._at(left, top), self._at(right, bottom))
        self._draw.rectangle(box, fill=self._recolor(fill))

    def text(self, text: str, height: float, fill: Color, y: float = 0.0) -> None:
        font = ImageFont.load_default(size=height * _CANVAS / 2)
        self._draw.text(
            self._at(0, y), text, font=font, fill=self._recolor(fill), anchor="mm",
            stroke_width=max(1, _SCALE // 2), stroke_fill=self._recolor(fill),
        )  # fmt: skip


def _caution(face: _Face) -> None:
    face.polygon([(0, -0.95), (0.98, 0.8), (-0.98, 0.8)], _RED)
    face.polygon([(0, -0.6), (0.68, 0.62), (-0.68, 0.62)], _WHITE)
    face.polygon([(-0.12, -0.3), (0.12, -0.3), (0.06, 0.22), (-0.06, 0.22)], _BLACK)
    face.disc(0.1, _BLACK, y=0.42)


def _crossing(face: _Face) -> None:
    face.bar(-0.88, -0.88, 0.88, 0.88, _BLUE)
    face.polygon([(0, -0.72), (0.72, 0.62), (-0.72, 0.62)], _WHITE)
    face.disc(0.12, _BLACK, y=-0.3)
    face.polygon([(-0.1, -0.15), (0.12, -0.15), (0.1, 0.2), (-0.08, 0.2)], _BLACK)
    face.polygon([(-0.08, 0.15), (0.04, 0.15), (-0.14, 0.55), (-0.26, 0.55)], _BLACK)
    face.polygon([(0.0, 0.15), (0.1, 0.15), (0.28, 0.55), (0.16, 0.55)], _BLACK)


def _arrow(face: _Face, side: int) -> None:
    face.disc(0.95, _WHITE)
    face.disc(0.87, _BLUE)
    shaft = [(-0.55, -0.28), (-0.33, -0.5), (0.18, 0.02), (-0.04, 0.24)]
    head = [(0.5, 0.56), (0.46, -0.22), (-0.28, 0.52)]
    face.polygon([(side * x, y) for x, y in shaft], _WHITE)
    face.polygon([(side * x, y) for x, y in head], _WHITE)


def _no_entry(face: _Face) -> None:
    face.disc(0.95, _WHITE)
    face.disc(0.88, _RED)
    face.bar(-0.62, -0.18, 0.62, 0.18, _WHITE)


def _parking(face: _Face) -> None:
    face.bar(-0.88, -0.88, 0.88, 0.88, _BLUE)
    face.text("P", 1.55, _WHITE)


def _priority(face: _Face) -> None:
    face.regular(4, 1.0, 0.0, _WHITE)
    face.regular(4, 0.86, 0.0, _BLACK)
    face.regular(4, 0.8, 0.0, _WHITE)
    face.regular(4, 0.58, 0.0, _YELLOW)


def _speed(face: _Face, limit: str) -> None:
    face.disc(0.95, _RED)
    face.disc(0.7, _WHITE)
    face.text(limit, 0.98, _BLACK)


def _stop(face: _Face) -> None:
    face.regular(8, 1.0, math.pi / 8, _WHITE)
    face.regular(8, 0.92, math.pi / 8, _RED)
    face.text("STOP", 0.68, _WHITE)


def _yield(face: _Face) -> None:
    face.polygon([(0, 0.95), (0.98, -0.8), (-0.98, -0.8)], _RED)
    face.polygon([(0, 0.5), (0.62, -0.58), (-0.62, -0.58)], _WHITE)


_FACES: dict[str, Callable[[_Face], None]] = {
    "caution": _caution,
    "crossing": _crossing,
    "keep_left": lambda face: _arrow(face, -1),
    "keep_right": lambda face: _arrow(face, 1),
    "no_entry": _no_entry,
    "parking": _parking,
    "priority": _priority,
    "speed_30": lambda face: _speed(face, "30"),
    "speed_50": lambda face: _speed(face, "50"),
    "speed_80": lambda face: _speed(face, "80"),
    "stop": _stop,
    "yield": _yield,
}

CLASSES: tuple[str, ...] = tuple(_FACES)
"""The twelve class names; sorted, so that one folder per class gives the same indices."""


def _random_color(rng: np.random.Generator) -> Color:
    """Any color, but more often a dull one."""
    color = rng.integers(10, 246, 3)
    red, green, blue = color + (color.mean() - color) * rng.uniform(0, 1)
    return int(red), int(green), int(blue)


def _background(rng: np.random.Generator) -> Image.Image:
    """Sky above, ground below, and clutter in any color, including the signs' own."""
    image = Image.new("RGB", (_CANVAS, _CANVAS), _random_color(rng))
    draw = ImageDraw.Draw(image)
    horizon = int(rng.uniform(0.2, 1.0) * _CANVAS)
    draw.rectangle((0, horizon, _CANVAS, _CANVAS), fill=_random_color(rng))
    for _ in range(rng.integers(3, 9)):
        x, y = rng.uniform(-0.2, 1.1, 2) * _CANVAS
        width, height = rng.uniform(0.08, 0.6, 2) * _CANVAS
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
    half = float(rng.uniform(0.3, 0.47)) * _CANVAS
    center = _CANVAS / 2 + rng.uniform(-1, 1, 2) * (_CANVAS / 2 - half)
    turn = rng.normal(0, math.radians(7))
    cos, sin = math.cos(turn) * half, math.sin(turn) * half
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) @ np.array([[cos, sin], [-sin, cos]])
    corners = corners * rng.uniform(0.8, 1.0, 2) + rng.normal(0, 0.06 * half, (4, 2)) + center
    source = np.array([(0, 0), (_CANVAS, 0), (_CANVAS, _CANVAS), (0, _CANVAS)], dtype=float)
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    homography = np.linalg.solve(np.array(rows), np.array(values))
    return face.transform(
        (_CANVAS, _CANVAS), Image.Transform.PERSPECTIVE, homography.tolist(),
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


def draw_sign(label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one sign of class ``label`` (an index into `CLASSES`): uint8, 32×32×3, RGB."""
    fade, cast = rng.uniform(0, 0.4), rng.normal(0, 14, 3)

    def recolor(color: Color) -> Color:
        """Age the paint: toward gray, with a cast."""
        gray = sum(color) / 3
        aged = [c + (gray - c) * fade + shift for c, shift in zip(color, cast, strict=True)]
        red, green, blue = (int(min(255, max(0, c))) for c in aged)
        return red, green, blue

    face = _Face(recolor)
    _FACES[CLASSES[label]](face)
    placed = _place(face.image, rng)
    image = _background(rng)
    image.paste(placed, (0, 0), placed)
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.0, 0.75)) * _SCALE))
    image = image.resize((SIZE, SIZE), Image.Resampling.BOX)
    pixels = _light(np.asarray(image, dtype=np.float64) / 255, rng)
    return np.asarray(np.clip(pixels, 0, 1) * 255 + 0.5, dtype=np.uint8)


def draw_signs(
    per_class: int, *, seed: int = 0, split: Split = "train", job: JobContext = SILENT
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw ``per_class`` signs of each class.

    Returns images, uint8 of shape (12·per_class, 3, 32, 32), and labels, int64, in class order.
    The three splits never share an image.
    """
    total = per_class * len(CLASSES)
    images = np.empty((total, 3, SIZE, SIZE), dtype=np.uint8)
    labels = np.repeat(np.arange(len(CLASSES)), per_class)
    for row, label in enumerate(labels.tolist()):
        rng = np.random.default_rng([seed, _SPLITS[split], label, row % per_class])
        images[row] = draw_sign(label, rng).transpose(2, 0, 1)
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
