"""Hostile and broken files: refused in one sentence, nothing run, memory bounded.

Each file is read in a process of its own, under a limit of its memory, with an audit hook that
kills the process at the first import, exec, process, socket, or file opened for writing.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_files import (
    Call,
    dumps,
    legacy,
    storage_id,
    tensor_pickle,
    torch_zip,
    weights,
)

MEMORY_LIMIT = 512 * 1024 * 1024

READER = """
import json, resource, sys, time
import hashlib, io, pickletools, struct, zipfile, encodings.idna, encodings.cp437
import encodings.latin_1, encodings.utf_8, bdshift.checkpoints.layout
import safetensors, numpy  # the reader loads them when it meets a safetensors file
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError

limit = int(sys.argv[1])
base = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (base + limit, base + limit))
bad = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.",
       "exec", "compile", "import", "pickle.find_class", "ctypes.", "os.remove", "os.rename",
       "os.mkdir", "shutil.")
results = []

def watch(event, args):
    if event.startswith(bad) or (event == "open" and args[1] not in ("r", "rb", None)):
        sys.stderr.write(f"CAUGHT {event} {args!r}\\n")
        sys.stderr.flush()
        import os
        os._exit(99)

paths = sys.argv[2:]
sys.addaudithook(watch)
for path in paths:
    started = time.perf_counter()
    try:
        state = find_state_dict(read_checkpoint(path))
        results.append(["read", len(state.tensors), time.perf_counter() - started])
    except InputError as error:
        results.append(["refused", str(error), time.perf_counter() - started])
print(json.dumps(results))
"""


def read_apart(*paths: Path, limit: int = MEMORY_LIMIT) -> list[tuple[str, str]]:
    """Read files in the guarded process; what came of each, and the sentence."""
    done = subprocess.run(
        [sys.executable, "-c", READER, str(limit), *map(str, paths)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    for (_, _, seconds), path in zip(found, paths, strict=True):
        assert seconds < 30, path
    return [(what, str(text)) for what, text, _ in found]


def refused(path: Path, *words: str) -> None:
    [(what, text)] = read_apart(path)
    assert what == "refused", text
    assert "\n" not in text
    assert text.startswith(str(path))
    for word in words:
        assert word in text, text


MALICIOUS: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "os.system": (lambda: Call("os", "system", "touch /tmp/pwned"), ("os.system",)),
    "posix.system": (lambda: Call("posix", "system", "id"), ("posix.system",)),
    "eval": (lambda: Call("builtins", "eval", "1+1"), ("builtins.eval",)),
    "exec": (lambda: Call("__builtin__", "exec", "x=1"), ("__builtin__.exec",)),
    "getattr chain": (
        lambda: Call("builtins", "getattr", Call("importlib", "import_module", "os"), "system"),
        ("builtins.getattr", "importlib.import_module"),
    ),
    "subprocess": (lambda: Call("subprocess", "Popen", ["id"]), ("subprocess.Popen",)),
    "nested pickle": (
        lambda: Call("pickle", "loads", pickle.dumps(1)),
        ("pickle.loads",),
    ),
    "numpy load": (lambda: Call("numpy", "load", "x.npy"), ("numpy.load",)),
    "torch.load": (lambda: Call("torch", "load", "x.pt"), ("torch.load",)),
    "torch.hub": (lambda: Call("torch.hub", "load", "a/b", "c"), ("torch.hub.load",)),
    "partial": (
        lambda: Call("functools", "partial", Call("os", "system"), "id"),
        ("os.system",),
    ),
    "beside real weights": (
        lambda: {"state_dict": {"w": 1}, "x": Call("os", "popen", "id")},
        ("os.popen",),
    ),
    "dotted name": (lambda: Call("torch", "serialization.os.system", "id"), ("os.system",)),
    "bytearray bomb": (lambda: Call("builtins", "bytearray", 2**40), ("builtins.bytearray",)),
    "many names": (
        lambda: [Call("os", f"evil{i}") for i in range(40)],
        ("os.evil0", "and 34 more"),
    ),
    "a function of the interpreter's": (
        lambda: Call("types", "FunctionType", Call("marshal", "loads", b"")),
        ("types.FunctionType", "marshal.loads"),
    ),
    "operator": (lambda: Call("operator", "attrgetter", "a.b"), ("operator.attrgetter",)),
    "runpy": (lambda: Call("runpy", "run_path", "x.py"), ("runpy.run_path",)),
    "pip": (lambda: Call("pip._internal", "main", ["install", "x"]), ("pip._internal.main",)),
    "code of torch": (
        lambda: Call("torch.utils.cpp_extension", "load_inline", "x"),
        ("torch.utils.cpp_extension.load_inline",),
    ),
    "inside of a class": (lambda: Call("net", "Net.__init__.__globals__"), ("__globals__",)),
}


@pytest.mark.parametrize("container", ["zip", "legacy"])
@pytest.mark.parametrize("name", MALICIOUS)
def test_code_is_named_and_never_run(tmp_path: Path, name: str, container: str) -> None:
    make, words = MALICIOUS[name]
    path = tmp_path / "model.pt"
    data = dumps(make())
    if container == "zip":
        torch_zip(path, data)
    else:
        path.write_bytes(legacy(data, [], []))
    refused(path, "refused", *words)
    assert not Path("/tmp/pwned").exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_whole_module_is_read_without_its_class(
    tmp_path: Path, protocol: int, zipped: bool
) -> None:
    path = tmp_path / "m.pt"
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2))
    torch.save(network, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    [(what, count)] = read_apart(path)
    assert (what, count) == ("read", "4")


def test_code_of_the_authors_own_is_told_and_never_run(tmp_path: Path) -> None:
    value = {"net": weights(), "hook": Call("evil", "run", "now")}
    buffer = io.BytesIO()
    torch.save(weights(), buffer)
    with zipfile.ZipFile(buffer) as archive:
        storages = {n[13:]: archive.read(n) for n in archive.namelist() if "/data/" in n}
        plain = archive.read("archive/data.pkl")
    assert plain[-1:] == b"."
    # {"net": weights, "hook": evil.run("now")}, put together from opcodes.
    data = (
        b"\x80\x02}(X\x03\0\0\0net" + plain[2:-1] + b"X\x04\0\0\0hook" + dumps(value["hook"])[2:-1]
    )
    path = torch_zip(tmp_path / "m.pt", data + b"u.", storages)
    [(what, count)] = read_apart(path)
    assert (what, count) == ("read", str(len(weights())))
    from bdshift.checkpoints.names import foreign
    from bdshift.checkpoints.reader import read_checkpoint

    assert foreign(read_checkpoint(path).names) == ("evil.run",)


def test_modules_in_modules_without_end(tmp_path: Path) -> None:
    """A module that holds itself, and sixty that hold the next one twice."""
    head = b"\x80\x02cnet\nNet\n)\x81q\x00}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}("
    loop = head + b"X\x01\0\0\0ah\x00uub."
    wide = b"\x80\x02"
    for level in range(60):
        children = b"" if not level else b"X\x01\0\0\0ah" + bytes([level - 1])
        again = b"" if not level else b"X\x01\0\0\0bh" + bytes([level - 1])
        wide += b"cnet\nNet\n)\x81q" + bytes([level])
        wide += b"}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}("
        wide += children + again + b"uub" + (b"0" if level < 59 else b".")
    paths = [torch_zip(tmp_path / f"{i}.pt", data) for i, data in enumerate((loop, wide))]
    for what, text in read_apart(*paths):
        assert (what, "without end" in text) == ("refused", True), text


def test_names_are_told_even_if_the_pickle_breaks_off(tmp_path: Path) -> None:
    refused(torch_zip(tmp_path / "m.pt", b"\x80\x02cos\nsystem\nX\xff\xff"), "os.system")


def test_persistent_ids_and_extension_codes_are_nothing_else(tmp_path: Path) -> None:
    evil = {
        "text pid": b"\x80\x02Pcos\n.",
        "pid is no storage": b"\x80\x02X\x02\x00\x00\x00osQ.",
        "extension": b"\x80\x02\x82\x01.",
        "out-of-band buffer": b"\x80\x05\x97.",
        "stack underflow": b"\x80\x02R.",
        "memo missing": b"\x80\x02h\x05.",
        "mark missing": b"\x80\x02t.",
        "two values": b"\x80\x02KKK\x01.",
        "reduce of a number": b"\x80\x02K\x01)R.",
        "arguments no tuple": b"\x80\x02ctorch\nSize\nK\x01R.",
        "no stop": b"\x80\x02}",
    }
    paths = []
    for number, data in enumerate(evil.values()):
        paths.append(torch_zip(tmp_path / f"{number}.pt", data))
    for name, (what, text) in zip(evil, read_apart(*paths), strict=True):
        assert what == "refused", name
        assert "damaged" in text or "no weights" in text, (name, text)


def test_time_and_memory_bombs(tmp_path: Path) -> None:
    deep_list = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    deep_tuple = b"\x80\x02)" + b"\x85" * 100_000 + b"."
    # A tuple of itself twice, sixty times: hashing it would take 2^60 steps.
    wide_key = b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"K\x01s."
    long_text = b"X" + struct.pack("<I", 1_000_000) + b"a" * 1_000_000
    encode = b"c_codecs\nencode\nq\x01h\x00X\x06\x00\x00\x00latin1\x86Rq\x02" + b"0"
    copies = b"\x80\x02" + long_text + b"q\x00" + encode * 100_000 + b"."
    # References to one list, a hundred at each of many levels.
    laughs = b"\x80\x02]q\x00"
    for level in range(1, 40):
        laughs += b"](" + b"h" + bytes([level - 1])
        laughs += (b"h" + bytes([level - 1])) * 99 + b"eq" + bytes([level])
    laughs += b"."
    bombs = {
        "deep list": deep_list,
        "deep tuple": deep_tuple,
        "tuple key": wide_key,
        "copied text": copies,
        "billion laughs": laughs,
        "huge length": b"\x80\x02\x8d" + struct.pack("<Q", 2**62) + b"x.",
        "huge integer": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
        "negative length": b"\x80\x02\x8b" + struct.pack("<i", -5) + b"x.",
    }
    paths = [torch_zip(tmp_path / f"{i}.pt", data) for i, data in enumerate(bombs.values())]
    for name, (what, _) in zip(bombs, read_apart(*paths), strict=True):
        assert what == "refused", name


def test_tensors_stay_inside_their_storage(tmp_path: Path) -> None:
    sixteen = bytes(64)  # sixteen floats
    float16 = storage_id("0", 16)
    cases = {
        "2^40 elements": tensor_pickle(float16, 0, (2**40,), (1,)),
        "2^40 by stride 0": tensor_pickle(float16, 0, (2**40,), (0,)),
        "offset outside": tensor_pickle(float16, 2**40, (1,), (1,)),
        "stride outside": tensor_pickle(float16, 0, (4, 4), (100, 1)),
        "shape and stride differ": tensor_pickle(float16, 0, (4, 4), (1,)),
        "storage missing": tensor_pickle(storage_id("7", 16), 0, (4,), (1,)),
        "storage claims more": tensor_pickle(storage_id("0", 2**40), 0, (2**20, 2**20), (2**20, 1)),
        "unknown storage": tensor_pickle(storage_id("0", 16, "EvilStorage"), 0, (4,), (1,)),
        "negative size": tensor_pickle(float16, 0, (-4,), (1,)),
    }
    paths = []
    for number, data in enumerate(cases.values()):
        paths.append(torch_zip(tmp_path / f"{number}.pt", data, {"0": sixteen}))
        old = tmp_path / f"{number}.old"
        old.write_bytes(legacy(data, ["0"], [(16, sixteen)]))
        paths.append(old)
    for number, (what, text) in enumerate(read_apart(*paths)):
        assert what == "refused", (list(cases)[number // 2], text)


def test_many_views_of_one_storage_do_not_multiply(tmp_path: Path) -> None:
    views = {f"k{i}": 0 for i in range(2000)}
    base = torch.zeros(1000, 10)
    torch.save(dict.fromkeys(views, base), tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "claim more numbers")


def _rezip(path: Path, change: Callable[[zipfile.ZipFile, zipfile.ZipFile], None]) -> Path:
    source = path.with_suffix(".source")
    torch.save(weights(), source)
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(path, "w") as after:
        change(before, after)
    return path


def test_zip_bombs_and_other_zips(tmp_path: Path) -> None:
    def bomb(before: zipfile.ZipFile, after: zipfile.ZipFile) -> None:
        for name in before.namelist():
            data = before.read(name)
            big = name.endswith("data/0")
            kind = zipfile.ZIP_DEFLATED if big else zipfile.ZIP_STORED
            after.writestr(name, bytes(2**28) if big else data, kind)

    def twice(before: zipfile.ZipFile, after: zipfile.ZipFile) -> None:
        for name in before.namelist():
            after.writestr(name, before.read(name))
        with pytest.warns(UserWarning, match="Duplicate name"):
            after.writestr(before.namelist()[0], dumps(Call("os", "system", "id")))

    refused(_rezip(tmp_path / "bomb.pt", bomb), "compressed")
    refused(_rezip(tmp_path / "twice.pt", twice), "twice")
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "plain.zip", "zip archive, but not a torch checkpoint")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"net/{name}", b"\x80\x02}.")
    refused(tmp_path / "script.pt", "no weights")


def test_ambiguous_zips(tmp_path: Path) -> None:
    good = tmp_path / "good.pt"
    torch.save(weights(), good)
    data = good.read_bytes()
    variants = {
        "prefix": b"MZ" + data,
        "comment": data[:-2] + b"\x05\x00hello",
        "appended": data + b"\0" * 40,
        "second zip behind": data + data,
        "directory offset": data[:-6] + struct.pack("<L", 5) + data[-2:],
    }
    local = bytearray(data)
    local[30:34] = b"evil"  # the local header's name differs from the directory's
    variants["local name"] = bytes(local)
    method = bytearray(data)
    method[8:10] = b"\x08\x00"
    variants["local method"] = bytes(method)
    paths = []
    for number, value in enumerate(variants.values()):
        path = tmp_path / f"v{number}.pt"
        path.write_bytes(value)
        paths.append(path)
    for name, (what, text) in zip(variants, read_apart(*paths), strict=True):
        assert what == "refused", (name, text)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_cut_off_anywhere(tmp_path: Path, zipped: bool) -> None:
    buffer = io.BytesIO()
    torch.save(weights(), buffer, _use_new_zipfile_serialization=zipped)
    data = buffer.getvalue()
    rng = random.Random(0)
    paths = []
    for number in range(60):
        path = tmp_path / f"{number}.pt"
        path.write_bytes(data[: rng.randrange(1, len(data))])
        paths.append(path)
    assert {what for what, _ in read_apart(*paths)} == {"refused"}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_flipped_bytes_never_crash(tmp_path: Path, zipped: bool) -> None:
    buffer = io.BytesIO()
    torch.save({"net": weights(), "epoch": 3}, buffer, _use_new_zipfile_serialization=zipped)
    rng = random.Random(1)
    paths = []
    for number in range(150):
        data = bytearray(buffer.getvalue())
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path = tmp_path / f"{number}.pt"
        path.write_bytes(data)
        paths.append(path)
    outcomes = read_apart(*paths)
    assert {what for what, _ in outcomes} <= {"read", "refused"}
    assert any(what == "refused" for what, _ in outcomes)


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    cases = {
        "empty": (b"", "is empty"),
        "html": (b"<!DOCTYPE html><html>Not found</html>", "web page"),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        "gzip": (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        "random": (random.Random(2).randbytes(5000), "no checkpoint"),
        "text": (b"hello\nworld\n", "no checkpoint"),
        "plain pickle": (pickle.dumps({"a": 1}), "no weights"),
        "safetensors cut": (struct.pack("<Q", 5000) + b'{"a":' + bytes(6000), "safetensors"),
        "safetensors lies": (
            struct.pack("<Q", 68)
            + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}  '
            + bytes(4),
            "safetensors",
        ),
        "safetensors huge header": (struct.pack("<Q", 2**40) + b"{" + bytes(50), "no checkpoint"),
    }
    paths = []
    for name, (data, _) in cases.items():
        path = tmp_path / name.replace(" ", "_")
        path.write_bytes(data)
        paths.append(path)
    for (name, (_, words)), (what, text) in zip(cases.items(), read_apart(*paths), strict=True):
        assert what == "refused", name
        assert words in text, (name, text)


def test_the_guard_itself_would_notice(tmp_path: Path) -> None:
    """The hook is alive: unpickling for real under it ends the process."""
    (tmp_path / "evil.pkl").write_bytes(dumps(Call("os", "system", "true")))
    code = READER.replace("read_checkpoint(path)", "__import__('pickle').load(open(path, 'rb'))")
    done = subprocess.run(
        [sys.executable, "-c", code, str(MEMORY_LIMIT), str(tmp_path / "evil.pkl")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 99, done.stderr
    assert "CAUGHT" in done.stderr


def test_reading_needs_no_more_memory_than_the_weights(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(64, 2**18)}, tmp_path / "large.pt")  # 64 MiB
    assert os.path.getsize(tmp_path / "large.pt") > 2**26
    [(what, text)] = read_apart(tmp_path / "large.pt", limit=2**25)
    assert what == "read", text
