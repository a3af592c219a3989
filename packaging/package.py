"""Make the programs that need no Python, and a Debian package of them: ``make package``.

Usage: package.py [ENVIRONMENT]

Both are left in ``build/package``. ENVIRONMENT is a virtual environment in which bdshift is
installed with its window, and PyInstaller; by default one is made there, with PyTorch for the CPU.
The variable TORCH is what pip is told for that, where another index or version is wanted.
It needs a Python with a shared library, as Debian's, python.org's and uv's are. Standard library
only.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from set_up import QT_LIBRARIES

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "package"
PYINSTALLER = "pyinstaller>=6.10,<7"
TORCH = "torch torchvision --index-url https://download.pytorch.org/whl/cpu"

EXECUTABLE = {"bdshift", "bdshift-gui", "torch_shm_manager"}
FOR_TESTS = {"xvfb", "xauth"}
LINUX = {
    "invalid.bdshift.bdshift.desktop": "usr/share/applications",
    "bdshift.svg": "usr/share/icons/hicolor/scalable/apps",
    "bdshift.xml": "usr/share/mime/packages",
    "invalid.bdshift.bdshift.metainfo.xml": "usr/share/metainfo",
}
"""Where a desktop looks for each file of ``packaging/linux``."""


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT)


def make_environment() -> Path:
    """One in which nothing but what is packed is installed."""
    made = OUT / "venv"
    python = made / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet")
    torch = made / "torch.txt"
    if not (made / "bin" / "pyinstaller").exists():
        run(sys.executable, "-m", "venv", "--clear", made)
        run(*pip, *shlex.split(os.environ.get("TORCH", TORCH)))
        torch.write_bytes(subprocess.check_output([python, "-m", "pip", "freeze"]))
        run(*pip, PYINSTALLER)
    run(*pip, "--constraint", torch, f"{ROOT}[gui]")
    # Through Qt's theme of GTK, PyInstaller would pack GTK of this system, and what that needs.
    for theme in made.glob("lib/*/site-packages/PySide6/Qt/plugins/platformthemes/libqgtk3.so"):
        theme.unlink()
    # Where TORCH names no torchvision, pip brings one that was built for another torch.
    if subprocess.run([python, "-c", "import torchvision"], capture_output=True).returncode:
        print("This torchvision does not fit this torch; the programs go without", flush=True)
        run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "torchvision")
    return made


def freeze(environment: Path) -> Path:
    """Run PyInstaller; returns the folder with both programs."""
    run(
        environment / "bin" / "pyinstaller", "--noconfirm", "--log-level", "WARN",
        "--distpath", OUT, "--workpath", OUT / "work", ROOT / "packaging/pyinstaller/bdshift.spec",
    )  # fmt: skip
    return OUT / "bdshift"


def version() -> str:
    text = (ROOT / "core/bdshift/_version.py").read_text(encoding="utf-8")
    found = re.search(r'"([^"]+)"$', text.strip())
    assert found is not None
    return found[1]


def maintainer() -> str:
    name = os.environ.get("DEBFULLNAME", "the bdshift authors")
    return f"{name} <{os.environ.get('DEBEMAIL', 'nobody@bdshift.invalid')}>"


def changelog() -> str:
    """In Debian's form, which tools read; what changed is in CHANGELOG.md, beside it."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(version())} \((.+)\)$", text, re.M)
    assert found is not None
    day = format_datetime(datetime.fromisoformat(found[1]).replace(tzinfo=UTC))
    return f"""bdshift ({version()}) unstable; urgency=medium

  * See CHANGELOG.md.gz.

 -- {maintainer()}  {day}
"""


def control(size: int) -> str:
    """What the package manager reads. ``size`` in KiB."""
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
    libc = f"libc6 (>= {platform.libc_ver()[1]})"
    needed = [one for one in QT_LIBRARIES if one not in FOR_TESTS]
    return f"""Package: bdshift
Version: {version()}
Section: science
Priority: optional
Architecture: {architecture}
Maintainer: {maintainer()}
Installed-Size: {size}
Depends: {", ".join([libc, *needed])}
Description: audits image classifiers for backdoors
 From a checkpoint and a small folder of clean images, bdshift tells whether
 an image classifier carries a backdoor, which class is its target and which
 neurons carry it, and removes it from a copy. It runs no code from the files
 that it audits.
 .
 This package brings Python, PyTorch for the CPU and Qt, in /opt/bdshift.
"""


def lay(tree: Path, programs: Path) -> None:
    """Put everything where it is to be on the system, under ``tree``."""
    shutil.copytree(programs, tree / "opt" / "bdshift", symlinks=True)
    for file in tree.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(0o755 if file.name in EXECUTABLE else 0o644)
    (tree / "usr" / "bin").mkdir(parents=True)
    for name in ("bdshift", "bdshift-gui"):
        (tree / "usr" / "bin" / name).symlink_to(f"/opt/bdshift/{name}")
    for name, folder in LINUX.items():
        (tree / folder).mkdir(parents=True)
        shutil.copyfile(ROOT / "packaging" / "linux" / name, tree / folder / name)
    about = tree / "usr" / "share" / "doc" / "bdshift"
    about.mkdir(parents=True)
    licenses = [ROOT / "LICENSE", ROOT / "resources" / "fonts" / "OFL.txt"]
    texts = [one.read_text(encoding="utf-8") for one in licenses]
    others = "The libraries in /opt/bdshift/_internal have their own licenses, which lie there.\n"
    (about / "copyright").write_text("\n\n".join([*texts, others]), encoding="utf-8")
    changes = {
        "changelog.gz": changelog().encode(),
        "CHANGELOG.md.gz": (ROOT / "CHANGELOG.md").read_bytes(),
    }
    for name, content in changes.items():
        (about / name).write_bytes(gzip.compress(content, mtime=0))
    overrides = tree / "usr" / "share" / "lintian" / "overrides"
    overrides.mkdir(parents=True)
    shutil.copyfile(ROOT / "packaging" / "linux" / "lintian-overrides", overrides / "bdshift")


def sums(tree: Path) -> str:
    """What ``dpkg --verify`` compares the installed files with."""
    files = sorted(one for one in tree.rglob("*") if one.is_file() and not one.is_symlink())
    lines = []
    for one in files:
        with one.open("rb") as stream:
            told = hashlib.file_digest(stream, "md5").hexdigest()
        lines.append(f"{told}  {one.relative_to(tree)}\n")
    return "".join(lines)


def make_deb(programs: Path) -> Path:
    """The Debian package of ``programs``."""
    tree = OUT / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    os.umask(0o022)
    lay(tree, programs)
    told = sums(tree)
    size = sum(one.lstat().st_size for one in tree.rglob("*") if not one.is_dir())
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(control(size // 1024), encoding="utf-8")
    (tree / "DEBIAN" / "md5sums").write_text(told, encoding="utf-8")
    # Every dpkg reads xz. At its usual level it takes a quarter of an hour.
    run("dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--build", tree, OUT)
    [made] = OUT.glob("*.deb")
    return made


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.deb"):
        old.unlink()
    environment = Path(sys.argv[1]).resolve() if sys.argv[1:] else make_environment()
    programs = freeze(environment)
    print(programs)
    if shutil.which("dpkg-deb"):
        print(make_deb(programs))


if __name__ == "__main__":
    main()
