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
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from set_up import QT_LIBRARIES

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "package"
PYINSTALLER = "pyinstaller>=6.10,<7"
TORCH = "torch torchvision --index-url https://download.pytorch.org/whl/cpu"

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


def control(size: int) -> str:
    """What the package manager reads. ``size`` in KiB."""
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
    name = os.environ.get("DEBFULLNAME", "the bdshift authors")
    address = os.environ.get("DEBEMAIL", "nobody@bdshift.invalid")
    libc = f"libc6 (>= {platform.libc_ver()[1]})"
    needed = [one for one in QT_LIBRARIES if one not in FOR_TESTS]
    return f"""Package: bdshift
Version: {version()}
Section: science
Priority: optional
Architecture: {architecture}
Maintainer: {name} <{address}>
Installed-Size: {size}
Depends: {", ".join([libc, *needed])}
Description: audits image classifiers for backdoors
 From a checkpoint and a small folder of clean images, bdshift tells whether an
 image classifier carries a backdoor, which class is its target and which neurons
 carry it, and removes it from a copy. It runs no code from the files it audits.
 .
 This package brings Python, PyTorch for the CPU and Qt, in /opt/bdshift.
"""


def lay(tree: Path, programs: Path) -> None:
    """Put everything where it is to be on the system, under ``tree``."""
    shutil.copytree(programs, tree / "opt" / "bdshift", symlinks=True)
    for library in tree.rglob("*.so*"):
        library.chmod(0o644)
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
    changes = (ROOT / "CHANGELOG.md").read_bytes()
    (about / "changelog.gz").write_bytes(gzip.compress(changes, mtime=0))
    overrides = tree / "usr" / "share" / "lintian" / "overrides"
    overrides.mkdir(parents=True)
    shutil.copyfile(ROOT / "packaging" / "linux" / "lintian-overrides", overrides / "bdshift")


def make_deb(programs: Path) -> Path:
    """The Debian package of ``programs``."""
    tree = OUT / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    os.umask(0o022)
    lay(tree, programs)
    size = sum(one.lstat().st_size for one in tree.rglob("*") if not one.is_dir())
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(control(size // 1024), encoding="utf-8")
    # xz takes a quarter of an hour; systems that know nothing else lack the C library.
    run("dpkg-deb", "--root-owner-group", "-Zzstd", "-z3", "--build", tree, OUT)
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
