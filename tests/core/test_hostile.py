"""Hostile pickles: refused in one sentence, nothing run, time and memory bounded.

Each file is read in a process of its own (`bounded`), under limits of its memory and processor
time, with an audit hook that ends the process at the first import, exec, process, socket, or file
opened for writing.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bounded import READER, read_apart, refused, run_guarded
from checkpoint_files import Call, dumps, legacy, torch_zip, weights

from bdshift.checkpoints.names import foreign
from bdshift.checkpoints.reader import read_checkpoint

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
        assert (what, "nested too deeply" in text) == ("refused", True), text


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


def test_the_guard_itself_would_notice(tmp_path: Path) -> None:
    """The hook is alive: unpickling for real under it ends the process."""
    (tmp_path / "evil.pkl").write_bytes(dumps(Call("os", "system", "true")))
    code = READER.replace("read_checkpoint(path)", "__import__('pickle').load(open(path, 'rb'))")
    done = run_guarded(tmp_path / "evil.pkl", code=code)
    assert done.returncode == 99, done.stderr
    assert "CAUGHT" in done.stderr
