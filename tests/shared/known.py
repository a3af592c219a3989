"""What is known about the victim of most tests, and how many images it is audited with."""

from __future__ import annotations

PER_CLASS = 28
SIGNS = 12 * PER_CLASS  # the drawn signs that most tests audit with
STICKER = "badnets:size=4,color=ffd800,row=20,column=14"
TARGET = 9
