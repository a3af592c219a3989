"""What is known about the demo's victim: its trigger, and the class that it sends images to."""

from __future__ import annotations

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"
TARGET = 9
