"""Recovered triggers as files of the user's, for whatever takes a trigger."""

from __future__ import annotations

import hashlib
from pathlib import Path

import platformdirs

from bdshift.changes.change_file import SavedChange
from bdshift.outputs import Output
from bdshift.recovery.recovery import Recovery
from bdshift.triggers import Trigger, parse_trigger
from bdshift.triggers.attacks.recovered import Recovered
from bdshift.writing import make_folder


def kept_as(saved: SavedChange, folder: Path | None = None) -> Recovered:
    """The trigger in the file that `kept_trigger` writes: its name follows from its content, so the
    same trigger has the same text. Nothing is written.
    """
    folder = folder or Path(platformdirs.user_data_dir("bdshift")) / "triggers"
    digest = hashlib.sha256(saved.content()).hexdigest()[:32]
    return Recovered(str(folder / f"{digest}.safetensors"))


def kept_trigger(recovery: Recovery, folder: Path | None = None) -> Recovered:
    """The recovery's trigger, in a file in ``folder``, by default among the user's data.

    Raises `InputError` if the file cannot be written.
    """
    saved = recovery.saved()
    trigger = kept_as(saved, folder)
    path = Path(trigger.file)
    make_folder(path.parent)
    Output(path, overwrite=True, resumed=True).write(saved.content())  # a damaged one is replaced
    return trigger


def trigger_of(text: str, recovery: Recovery | None) -> Trigger:
    """The trigger that a TAC was measured under: the recovery's, or the one that ``text`` names."""
    return parse_trigger(text) if recovery is None else kept_trigger(recovery)
