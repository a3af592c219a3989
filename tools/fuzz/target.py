"""What all targets share: a scratch folder in memory, a watch over what must never happen."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_NEVER = (
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect",
    "socket.bind", "socket.getaddrinfo", "pickle.find_class", "ctypes.dlopen", "os.rename",
    "os.remove", "os.mkdir", "os.symlink", "os.link", "os.chmod", "shutil.",
)  # fmt: skip
_FOR_READING = ("r", "rb", "rt", None)


class Forbidden(BaseException):
    """Something that no file may cause; no handler of the reader catches it."""


class Watch:
    """An audit hook. While it is armed, a process, a connection, a change of a file, or an import
    of a package that nothing had loaded raises `Forbidden`.
    """

    def __init__(self) -> None:
        self.armed = False
        self._packages: set[str] = set()
        sys.addaudithook(self._hook)

    def arm(self) -> None:
        """From now on, until it is disarmed."""
        self._packages = {*sys.stdlib_module_names, *(one.split(".")[0] for one in sys.modules)}
        self.armed = True

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        if not self.armed:
            return
        bad = event.startswith(_NEVER)
        if event == "open":
            flags = args[2] if isinstance(args[2], int) else 0
            bad = args[1] not in _FOR_READING or bool(flags & (os.O_WRONLY | os.O_RDWR))
        elif event == "import":
            bad = str(args[0]).split(".")[0] not in self._packages
        if bad:
            self.armed = False
            raise Forbidden(f"{event} {str(args)[:300]}")


class Scratch:
    """A folder in memory whose files are replaced for every input; gone at the end."""

    def __init__(self) -> None:
        place = _MEMORY if _MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="bdshift-fuzz-", dir=place))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)

    def file(self, name: str, data: bytes) -> Path:
        """A file with this content."""
        path = self.folder / name
        path.write_bytes(data)
        return path
