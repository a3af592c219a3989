"""The state of the machine: the device of the audit, and the memory in use, live."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Slot

from bdshift_gui.i18n import tr
from bdshift_gui.plain import PlainLabel, set_tip

_EVERY = 2000  # milliseconds


class MachineStatus(PlainLabel):
    """Updates every two seconds while it is visible; what it needs is imported only then."""

    def __init__(self) -> None:
        super().__init__()
        self._device = ""
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)
        self._timer.timeout.connect(self.look)
        self._timer.start()

    def show_device(self, device: str) -> None:
        """Name the device of the audit that is shown; empty without one."""
        if device != self._device:
            self._device = device
            self.look()

    @Slot()
    def look(self) -> None:
        """Measure and show."""
        if not self.isVisible():
            return
        from bdshift.devices import GIB, memory_in_use

        name, used, whole = memory_in_use()
        text = f"{name} {used / GIB:.1f} / {whole / GIB:.0f} GiB"
        device = self._device.upper()
        self.setText(text if device in ("", name) else f"{device} · {text}")
        set_tip(self, tr("GPU memory in use.") if name != "RAM"
            else tr("Memory used by bdshift, and total memory of the machine."))  # fmt: skip
