"""The window: a thin, one-way view of the library `bdshift`."""

from __future__ import annotations

import sys


def main() -> int:
    """Start the window, or print in one line why it cannot start."""
    try:
        import PySide6
    except ModuleNotFoundError:
        print(
            'bdshift-gui needs PySide6 and pyqtgraph: pip install "bdshift[gui]"', file=sys.stderr
        )
        return 2
    if PySide6.__version_info__[:2] >= (6, 12) and sys.version_info < (3, 12):
        print(
            f"PySide6 {PySide6.__version__} loses references on Python older than 3.12 and would "
            "crash: pip install 'PySide6-Essentials<6.12'",
            file=sys.stderr,
        )
        return 2
    from bdshift.allocation import keep_freed_memory
    from bdshift_gui.app import main as run

    keep_freed_memory()
    return run()
