"""What both frozen programs run: the one that its file is named after.

The processes that bdshift starts of itself are written for Python (`bdshift.fleet.local`,
`bdshift.bench`); a frozen program is its own Python, so it takes ``-m MODULE`` and ``-c CODE``.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path


def main() -> None:
    match sys.argv[1:]:
        case ["-m", module, *_]:
            del sys.argv[:2]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code]:
            exec(code, {"__name__": "__main__"})
        case _ if Path(sys.executable).stem == "bdshift-gui":
            from bdshift_gui import main as window

            sys.exit(window())
        case _:
            from bdshift.cli import main as command

            command(prog_name="bdshift")


main()
