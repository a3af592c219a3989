"""A network that is a constant says nothing about images, and is refused."""

from __future__ import annotations

from collections.abc import Sequence

from bdshift.checkpoints.contest import Contest
from bdshift.checkpoints.entrant import Entrant
from bdshift.errors import InputError

_BY_CHANCE = 4.0  # standard errors above guessing, up to which the best of many are guessing


def refuse_one_class(contest: Contest, ranked: Sequence[Entrant]) -> None:
    """Raise if the network's outputs are no numbers, or it is a constant: nothing that was tried
    says anything about the images, and all of it predicts one class, or most of it if the network
    is only rebuilt. A known network that is right by chance is audited, but inconclusively.
    """
    if not any(entrant.total_confidence for entrant in ranked):
        raise InputError(
            "{path}: the network's outputs are not finite: its weights or batch norms are broken",
            path=contest.opened.file.path,
        )
    constant = [entrant for entrant in ranked if entrant.says_one_class]
    chance = 1 / ranked[0].confusion.shape[1]
    spread = (chance * (1 - chance)) ** 0.5
    better = any(e.score > chance + _BY_CHANCE * spread / e.images**0.5 for e in ranked)
    allowed = len(ranked) // 2 if contest.opened.is_rebuilt and contest.labeled else 0
    if better or len(ranked) - len(constant) > allowed:
        return
    path, index = contest.opened.file.path, int(constant[0].confusion.sum(1).argmax())
    if not contest.labeled:
        raise InputError(
            "{path}: predicts class {index} for every image. Without labels nothing tells whether "
            "all images are of one class, where a scan needs several, or the network or its images "
            "are read wrongly",
            path=path, index=index,
        )  # fmt: skip
    raise InputError(
        "{path}: predicts class {index} for every image, in {count} of the {tried} ways to read it "
        "that were tried, and no way is right more often than chance; nothing can be said about "
        "such a network",
        path=path, index=index, count=len(constant), tried=len(ranked),
    )  # fmt: skip
