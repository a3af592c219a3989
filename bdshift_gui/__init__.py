"""The window: a thin, one-way view of the library `bdshift`."""

from __future__ import annotations

import sys

from bdshift.extras import pip_install
from bdshift.output_encoding import print_what_there_is


def main() -> int:
    """Start the window, or print in one line why it cannot start."""
    print_what_there_is()
    try:
        import PySide6
    except ModuleNotFoundError:
        command = pip_install("PySide6-Essentials", "pyqtgraph")
        print(f"bdshift-gui needs PySide6 and pyqtgraph: {command}", file=sys.stderr)
        return 2
    if PySide6.__version_info__[:2] >= (6, 12) and sys.version_info < (3, 12):
        print(
            f"PySide6 {PySide6.__version__} loses references on Python older than 3.12 and would "
            f"crash: {pip_install('PySide6-Essentials')}",
            file=sys.stderr,
        )
        return 2
    from bdshift.allocation import keep_freed_memory
    from bdshift_gui.app import main as run

    keep_freed_memory()
    return run()
