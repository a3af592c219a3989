"""What is to be done with one model of a fleet, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bdshift.audit.asked import AskedScan
from bdshift.audit.facts import Level
from bdshift.devices import GIB
from bdshift.words import LANGUAGES, Language, Sentence, words


@dataclass(frozen=True)
class Limits:
    """What one audit may take.

    Attributes:
        seconds: until its process is ended.
        memory: bytes of private memory, beyond what all audits share. Enforced on Linux.
        threads: of the processor that it computes on.
    """

    seconds: float = 3600.0
    memory: int = 8 * GIB
    threads: int = 1


@dataclass(frozen=True)
class FleetModel:
    """A model of a list.

    Attributes:
        path: of the file or folder, absolute; or its address, with ``://``.
        images: path of the clean set.
        asked: how it is scanned.
        arch: one of the architectures that fit, by name; None to let clean accuracy decide.
    """

    path: str
    images: str
    asked: AskedScan = AskedScan()
    arch: str | None = None


@dataclass(frozen=True)
class Task:
    """A model for an engine to audit.

    Attributes:
        number: by which the engine tells which task its result belongs to.
        model: the model.
        limits: what the audit may take.
        audit: where the audit file is written; "" for none.
        embeddings: whether that holds the embeddings.
        attempt: how many engines have lost it, from 0.
    """

    number: int
    model: FleetModel
    limits: Limits
    audit: str = ""
    embeddings: bool = False
    attempt: int = 0

    @property
    def again(self) -> Task:
        """The same, once more."""
        return replace(self, attempt=self.attempt + 1)


Status = Literal["done", "refused", "timed-out", "out-of-memory", "crashed"]

STATUS_WORDS: dict[Status, str] = {
    "done": words("Audited", ja="監査済み"),
    "refused": words("Cannot be audited", ja="監査できません"),
    "timed-out": words("Took too long", ja="時間切れ"),
    "out-of-memory": words("Took too much memory", ja="メモリ不足"),
    "crashed": words("Ended unexpectedly", ja="異常終了"),
}
"""How a task can end, in words."""


@dataclass(frozen=True)
class Spoken:
    """A sentence in every language, ready to be shown: what a process of a hostile file, or a file
    from anyone, says is never filled in.
    """

    texts: dict[str, str]

    @classmethod
    def of(cls, sentence: Sentence) -> Spoken:
        """What a sentence is in each language."""
        return cls({language: sentence.render(language) for language in LANGUAGES})

    def render(self, language: Language = "en") -> str:
        """The sentence in a language; English where it is missing."""
        return self.texts.get(language) or self.texts.get("en", "")


@dataclass(frozen=True)
class Result:
    """What came of a task.

    Attributes:
        status: how it ended; only of a model that is "done" anything else is known.
        reason: the finding's decisive sentence, or why there is none.
        level: of the finding; None without one.
        target, target_name: the suspected class, or else the most suspicious one; −1 for none.
        p: of the model beside clean models, or else by the rule on the norms; NaN if nothing is
            concluded.
        beside: whether p is that beside clean models.
        strength: of the strongest evidence beside clean models; NaN without the comparison.
        architecture, classes, accuracy: of the model.
        norms: L2 norms of the shifts to each class.
        sketch: of its weights (`bdshift.fleet.kin.sketch`); () if they were not read.
        sha256: of the model.
        seconds, memory: wall time, and the most memory it had, in bytes.
    """

    status: Status
    reason: Spoken
    level: Level | None = None
    target: int = -1
    target_name: str = ""
    p: float = float("nan")
    beside: bool = False
    strength: float = float("nan")
    architecture: str = ""
    classes: int = 0
    accuracy: float = float("nan")
    norms: tuple[float, ...] = ()
    sketch: tuple[float, ...] = ()
    sha256: str = ""
    seconds: float = 0.0
    memory: int = 0


@dataclass(frozen=True)
class Stage:
    """What a running task is doing: ``done`` of ``total`` of a stage."""

    stage: Spoken
    done: int
    total: int


@dataclass(frozen=True)
class Told:
    """What an engine tells of a task: its result, or what it is doing.

    Attributes:
        number: of the task.
        result: None while it runs.
        stage: None if there is a result.
    """

    number: int
    result: Result | None = None
    stage: Stage | None = None
