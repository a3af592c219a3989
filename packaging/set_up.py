"""Create ``.venv`` from the lock file, on a machine that has Python 3.11 to 3.13 and nothing else.

Standard library only. uv does the installing, because it reads ``uv.lock``, checks every file
against its hashes, and is about five times faster than pip; pip installs uv into the environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
UV = "uv>=0.5,<1"

# What the Qt wheels need from a Debian-like system to open a window on X11, and to be tested there.
QT_LIBRARIES = (
    "libegl1 libgl1 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 "
    "libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xkb1 xvfb xauth"
).split()


def say(text: str) -> None:
    print(text, flush=True)


def run(*command: str | Path) -> None:
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(VENV)}
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT, env=environment)


def apt_install(packages: list[str]) -> bool:
    """Install packages if we are root, else print the command. True if they are installed now."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if not shutil.which("apt-get") or os.geteuid() != 0:
        say(f"To install what is missing: sudo {' '.join(command)}")
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    say(f"Installing {' '.join(packages)}")
    for attempt in (["apt-get", "update", "-q"], command):
        done = subprocess.run(
            attempt, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode and attempt is command:
            say(done.stderr.strip())
            say(f"That failed; to try again: {' '.join(command)}")
            return False
    return True


def make_venv() -> None:
    """``python -m venv``; Debian ships part of it in a separate package."""
    if (VENV / "bin" / "pip").exists():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    attempt = [sys.executable, "-m", "venv", str(VENV)]
    if subprocess.run(attempt, capture_output=True).returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    package = f"python3.{sys.version_info.minor}-venv"
    say(f"This Python cannot make virtual environments: {package} is missing")
    if not apt_install([package]):
        sys.exit(1)
    run(*attempt)


def install_qt_libraries() -> None:
    """Never fatal: everything but a window on X11 works without them."""
    if not sys.platform.startswith("linux") or not shutil.which("dpkg-query"):
        return
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *QT_LIBRARIES],
        capture_output=True, text=True,
    )  # fmt: skip
    installed = {line.split()[0] for line in shown.stdout.splitlines() if "not-" not in line}
    missing = [package for package in QT_LIBRARIES if package not in installed]
    if missing:
        say("Some system libraries that a Qt window needs are missing")
        apt_install(missing)


def main() -> None:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        sys.exit(
            f"bdshift needs Python 3.11 to 3.13, this is {sys.version.split()[0]}; "
            "name another with make PYTHON=python3.12 …"
        )
    make_venv()
    python = VENV / "bin" / "python"
    uv = VENV / "bin" / "uv"
    if not uv.exists():
        say("Installing uv")
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
    say("Installing the locked packages (torch is large; the first time takes a minute)")
    # Compiled now, not in every process where PYTHONDONTWRITEBYTECODE is set, as in containers.
    run(uv, "sync", "--locked", "--all-extras", "--compile-bytecode", "--quiet")
    install_qt_libraries()


if __name__ == "__main__":
    main()
