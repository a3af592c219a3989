"""What a network frees is kept, and output that nobody reads is no fault."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bdshift.devices import is_out_of_memory

_CHURN = """
import resource, sys, threading
import numpy as np
from bdshift.allocation import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()

def churn():
    for _ in range(20):
        np.ones(8_000_000)  # 64 MB: glibc gives such blocks back at once

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

before = faults()
thread = threading.Thread(target=churn)
thread.start()
thread.join()
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_freed_memory_is_used_again_also_in_a_thread() -> None:
    def faults(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", _CHURN, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert faults("kept") < faults("given back") / 5


def test_what_says_that_memory_ran_out() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("could not create a primitive"))  # oneDNN
    assert not is_out_of_memory(RuntimeError("could not create a primitive descriptor for ..."))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_command_whose_output_nobody_reads_ends_quietly() -> None:
    command = [sys.executable, "-m", "bdshift", "settings"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        assert (process.wait(), said) == (141, b"")
