"""What the pass over the images and the shifts will take, said before either begins."""

from __future__ import annotations

import torch

from bdshift.checkpoints.footprint import Work
from bdshift.devices import GIB, pace
from bdshift.jobs import JobContext
from bdshift.shift.room import bytes_needed
from bdshift.words import words

_SOLVED_PER_SECOND = 3e10  # multiply-adds in float64, on two cores
_USUAL_PRODUCTS = 60  # of all logits with all classes; 50 to 85 were counted (docs/scale.md)
_MIN_SAID = 60.0  # seconds; less are not worth a line
_HOUR = 3600.0

_MINUTES = words(
    "{images:|image|images} and {classes:|class|classes} will take about {minutes:.0f} min and "
    "{memory:.1f} GiB of memory",
    ja="画像 {images} 枚、{classes} クラスで、約 {minutes:.0f} 分、メモリー約 {memory:.1f} GiB "
    "かかる見込みです",
)
_HOURS = words(
    "{images:|image|images} and {classes:|class|classes} will take about {hours:.1f} h and "
    "{memory:.1f} GiB of memory",
    ja="画像 {images} 枚、{classes} クラスで、約 {hours:.1f} 時間、メモリー約 {memory:.1f} GiB "
    "かかる見込みです",
)


def expected_seconds(
    images: int, work: Work, precision: str, classes: int, device: torch.device
) -> float:
    """Of a pass over ``images`` (N) at ``work`` each, in ``precision``, and of the exact shifts to
    C ``classes``.
    """
    solving = _USUAL_PRODUCTS * images * classes * classes / _SOLVED_PER_SECOND
    return (images * work.seconds(precision) + solving) / pace(device)


def say_what_it_takes(
    images: int, dim: int, classes: int, work: Work, precision: str, device: torch.device,
    job: JobContext, *, on_disk: bool, solved: bool,
) -> None:  # fmt: skip
    """Tell ``job`` the time and memory of a pass that takes long, with those of the shifts if they
    are ``solved`` from it; d is ``dim``.
    """
    seconds = expected_seconds(images, work, precision, classes if solved else 0, device)
    memory = bytes_needed(images, dim, classes, on_disk=on_disk) / GIB
    values = {"images": images, "classes": classes, "memory": memory}
    if seconds >= 2 * _HOUR:
        job.note(_HOURS, hours=seconds / _HOUR, **values)
    elif seconds >= _MIN_SAID:
        job.note(_MINUTES, minutes=seconds / 60, **values)
