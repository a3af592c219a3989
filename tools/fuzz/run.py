"""Fuzzes one reader, guided by what it reaches, until it is stopped. atheris must be installed.

Usage: python -m tools.fuzz.run TARGET FOLDER [options of libFuzzer]

FOLDER keeps inputs that reach something new, and the input of a finding. The kept corpus is read,
and not changed.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import atheris

import bdshift

_READERS = (
    "checkpoints", "images", "store", "pickle_data", "pickle_values", "zip_data", "json_data",
    "hdf5_data",
)  # fmt: skip


def _others() -> list[str]:
    """Modules that read nothing: following them takes long, and says nothing."""
    root = Path(bdshift.__file__).parent
    names = [path.relative_to(root.parent).with_suffix("").parts for path in root.rglob("*.py")]
    return [".".join(one) for one in names if one[1] not in _READERS]


with atheris.instrument_imports(
    ["bdshift", "zipfile", "pickletools", "tarfile", "csv", "json"], exclude=_others()
):
    from bdshift.errors import BdshiftError
    from tools.fuzz.all_targets import TARGETS
    from tools.fuzz.audits import CORPUS
    from tools.fuzz.mutations import mutated
    from tools.fuzz.target import Scratch, Watch

_SECONDS, _MEBIBYTES = 5, 1024  # for one input
_MAX_BYTES = 1 << 16
_JSON = ("audit-text",)
_REPORT_EVERY = 10_000


class Fuzzed:
    """Counts what is read and what is refused."""

    def __init__(self, name: str) -> None:
        self._target, self._scratch, self._watch = TARGETS[name], Scratch(), Watch()
        self.read = self.refused = 0
        for path in sorted((CORPUS / name).iterdir()):  # loads what is loaded when first needed
            with suppress(BdshiftError):
                self._target(self._scratch, path.read_bytes())()
        self._base, self._began = _peak(), time.monotonic()

    def __call__(self, data: bytes) -> None:
        """Read one input."""
        judge = self._target(self._scratch, data)
        self._watch.arm()
        try:
            judge()
            self.read += 1
        except BdshiftError:
            self.refused += 1
        finally:
            self._watch.armed = False
        done = self.read + self.refused
        if _peak() - self._base > _MEBIBYTES:
            raise MemoryError(f"{_peak() - self._base} MiB more than the corpus takes")
        if done % _REPORT_EVERY == 0:
            seconds = time.monotonic() - self._began
            print(
                f"{done:,} inputs, {self.read:,} read, {done / seconds:.0f} a second, "
                f"{_peak()} MiB at most",
                flush=True,
            )


def _peak() -> int:
    """The most memory that the process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Half of the inputs are changed by libFuzzer, half as JSON."""
    rng = random.Random(seed)
    if rng.random() < 0.5:
        return bytes(atheris.Mutate(data, most))
    return mutated(data, data, rng)[:most]


def main(name: str, folder: Path, *options: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    given = [
        sys.argv[0], f"-timeout={_SECONDS}", f"-max_len={_MAX_BYTES}", "-rss_limit_mb=4096",
        f"-artifact_prefix={folder}/finding-", "-print_final_stats=1", *options, str(folder),
        str(CORPUS / name),
    ]  # fmt: skip
    if name in _JSON:
        atheris.Setup(given, Fuzzed(name), custom_mutator=mutate)
    else:
        atheris.Setup(given, Fuzzed(name))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
