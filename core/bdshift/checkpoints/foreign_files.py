"""What a file is that is not a checkpoint, by its first bytes, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bdshift.errors import InputError
from bdshift.words import Sentence, words

HEAD_BYTES = 1024
"""How much of a file is looked at."""

ONLY_CHECKPOINTS = (".pt", ".pth", ".ckpt", ".safetensors", ".keras", ".onnx")
"""How names end that only checkpoints have."""

CHECKPOINTS = (*ONLY_CHECKPOINTS, ".bin", ".tar", ".h5")
"""How names of checkpoints end."""

SAVE_STATE_DICT = Sentence(
    "bdshift reads PyTorch checkpoints: load it in the framework that wrote it, convert it to "
    "PyTorch and save its state_dict()"
)


@dataclass(frozen=True)
class _Kind:
    """A kind of file: whether the first bytes are of one, and what to say."""

    matches: Callable[[bytes], bool]
    words: str


def _starts(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _text(*starts: bytes) -> Callable[[bytes], bool]:
    """By how its text starts, in lower case, after white space."""
    return lambda head: head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(starts)


def _has(pattern: bytes) -> Callable[[bytes], bool]:
    found = re.compile(pattern, re.DOTALL)
    return lambda head: found.match(head) is not None


_ONNX = re.compile(rb"pytorch|onnx|tf2", re.IGNORECASE)
_KINDS = (
    _Kind(
        _text(b"version https://git-lfs"),
        words(
            "is a Git LFS pointer, not the checkpoint itself; fetch it with git lfs pull",
            ja="チェックポイントではなく Git LFS のポインターです。git lfs pull で実体を取得"
            "してください",
        ),
    ),
    _Kind(
        _has(rb"(/annex/objects/|(\.\./)*\.git/annex/)"),
        words(
            "is a git-annex pointer, not the checkpoint itself; fetch it with git annex get",
            ja="チェックポイントではなく git-annex のポインターです。git annex get で実体を"
            "取得してください",
        ),
    ),
    _Kind(
        _has(rb"(outs:\s|md5: )"),
        words(
            "is a DVC pointer, not the checkpoint itself; fetch it with dvc pull",
            ja="チェックポイントではなく DVC のポインターです。dvc pull で実体を取得してください",
        ),
    ),
    _Kind(
        _has(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<net[\s>]"),
        words(
            "is the graph of an OpenVINO model. {advice}",
            ja="OpenVINO モデルのグラフです。{advice}",
        ),
    ),
    _Kind(
        _text(b"<!doctype", b"<html", b"<?xml", b"<head", b"<error"),
        words(
            "is a web page, not a checkpoint; the download probably failed",
            ja="チェックポイントではなくウェブページです。ダウンロードに失敗したようです",
        ),
    ),
    _Kind(
        _has(rb'\s*\{.{0,900}"weight_map"'),
        words(
            "is the index of weights that are split over several files; give the "
            "folder that holds them",
            ja="複数のファイルに分かれた重みの索引です。それらが入ったフォルダーを指定してください",
        ),
    ),
    _Kind(
        _starts(b"\x1f\x8b"),
        words(
            "is gzip-compressed; unpack it first",
            ja="gzip で圧縮されています。先に展開してください",
        ),
    ),
    _Kind(
        _starts(b"BZh"),
        words(
            "is bzip2-compressed; unpack it first",
            ja="bzip2 で圧縮されています。先に展開してください",
        ),
    ),
    _Kind(
        _starts(b"\xfd7zXZ\0"),
        words(
            "is xz-compressed; unpack it first", ja="xz で圧縮されています。先に展開してください"
        ),
    ),
    _Kind(
        _starts(b"\x28\xb5\x2f\xfd"),
        words(
            "is zstd-compressed; unpack it first",
            ja="zstd で圧縮されています。先に展開してください",
        ),
    ),
    _Kind(
        _starts(b"7z\xbc\xaf\x27\x1c", b"Rar!"),
        words("is an archive; unpack it first", ja="アーカイブです。先に展開してください"),
    ),
    _Kind(
        lambda head: head[:1] == b"\x78" and head[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"),
        words(
            "is zlib-compressed, as joblib writes for scikit-learn, which bdshift does not read",
            ja="zlib で圧縮されています。joblib が scikit-learn 用に書く形式で、bdshift では"
            "読めません",
        ),
    ),
    _Kind(
        lambda head: head[257:262] == b"ustar",
        words(
            "is a tar archive; unpack it and give the checkpoint inside",
            ja="tar アーカイブです。展開して、中のチェックポイントを指定してください",
        ),
    ),
    _Kind(
        lambda head: head[4:8] == b"TFL3",
        words("is a TensorFlow Lite model. {advice}", ja="TensorFlow Lite モデルです。{advice}"),
    ),
    _Kind(
        lambda head: head[4:6] == b"ET" and head[6:8].isdigit(),
        words(
            "is an ExecuTorch program; give the PyTorch checkpoint that it was made from",
            ja="ExecuTorch のプログラムです。変換元の PyTorch チェックポイントを指定してください",
        ),
    ),
    _Kind(
        _starts(b"GGUF", b"ggml", b"lmgg"),
        words(
            "is a GGUF file, a format for language models",
            ja="GGUF ファイルです（言語モデル用の形式）",
        ),
    ),
    _Kind(
        _starts(b"ftrt", b"ptrt"),
        words(
            "is a TensorRT engine; give the PyTorch checkpoint that it was made from",
            ja="TensorRT のエンジンです。変換元の PyTorch チェックポイントを指定してください",
        ),
    ),
    _Kind(
        _starts(b"\x93NUMPY"),
        words("is a NumPy array, not a checkpoint", ja="チェックポイントではなく NumPy 配列です"),
    ),
    _Kind(
        _starts(b"MATLAB 5.0"),
        words("is a MATLAB file. {advice}", ja="MATLAB のファイルです。{advice}"),
    ),
    _Kind(
        _starts(b"\x12\x01\0\0\0\0\0\0"),
        words(
            "is a file of MXNet parameters. {advice}",
            ja="MXNet のパラメーターファイルです。{advice}",
        ),
    ),
    _Kind(
        _has(rb"\0\0\0\0[\1\2]\0\0\0[\0-\x0a]\0\0\0"),
        words(
            "is a file of Darknet weights, of an object detector as a rule. {advice}",
            ja="Darknet の重みです（多くは物体検出器）。{advice}",
        ),
    ),
    _Kind(
        lambda head: head[:1] == b"\x08" and _ONNX.search(head) is not None,
        words(
            "is an ONNX model, a graph whose batch norms are usually folded away; give the "
            "checkpoint it was made from",
            ja="ONNX モデルです。バッチ正規化がたいてい組み込まれたグラフなので、"
            "変換元のチェックポイントを指定してください",
        ),
    ),
    _Kind(
        _has(rb"\x08\x01\x12.{1,3}[\x0a\x12]"),
        words("is a TensorFlow SavedModel. {advice}", ja="TensorFlow の SavedModel です。{advice}"),
    ),
    _Kind(
        _has(rb"\x0a.{1,3}\x0a.{1,200}\x12.{1,20}(Placeholder|Const|VariableV2|VarHandleOp)"),
        words(
            "is a frozen graph of TensorFlow. {advice}", ja="TensorFlow の凍結グラフです。{advice}"
        ),
    ),
    _Kind(
        _has(rb"\x08[\1-\x0f]\x12.{1,4}[\x0a\x52\xa2]"),
        words(
            "is a Core ML model; give the PyTorch checkpoint that it was made from",
            ja="Core ML モデルです。変換元の PyTorch チェックポイントを指定してください",
        ),
    ),
    _Kind(
        _has(rb"(\x0a.{1,40})?[\x12\xa2].*(Convolution|InnerProduct|CONVOLUTION)"),
        words("is a Caffe model. {advice}", ja="Caffe モデルです。{advice}"),
    ),
    _Kind(
        _has(rb"[\x81-\x8f\xde\xdf].{0,4}[\xa0-\xbf\xd9](params|step|model|state|batch_stats)"),
        words(
            "is a Flax checkpoint (msgpack). {advice}",
            ja="Flax のチェックポイント（msgpack）です。{advice}",
        ),
    ),
    _Kind(
        _text(b"model_checkpoint_path:"),
        words(
            "names a TensorFlow checkpoint, which is the files beside it. {advice}",
            ja="TensorFlow のチェックポイントを指すファイルで、実体は隣のファイルです。{advice}",
        ),
    ),
    _Kind(
        _starts(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF"),
        words(
            "is a picture, not a checkpoint; the images are the second thing to give",
            ja="チェックポイントではなく画像です。画像は 2 番目に指定してください",
        ),
    ),
    _Kind(
        _starts(b"%PDF"),
        words("is a PDF document, not a checkpoint", ja="チェックポイントではなく PDF 文書です"),
    ),
    _Kind(
        _starts(b"\0\x05\x16\x07"),
        words(
            "holds what macOS keeps about another file (its name begins with ._); give that one",
            ja="macOS がほかのファイルについて保存した付属情報です（名前が ._ で始まります）"
            "。元のファイルを指定してください",
        ),
    ),
    _Kind(
        lambda head: not head.strip(b"\0"),
        words(
            "begins with nothing but zeros; the download probably broke off",
            ja="先頭がすべて 0 です。ダウンロードが途中で切れたようです",
        ),
    ),
)


def what_it_is(head: bytes) -> InputError:
    """The error for a file that is not a checkpoint, by its first `HEAD_BYTES`."""
    for kind in _KINDS:
        if kind.matches(head):
            return InputError(kind.words, advice=SAVE_STATE_DICT)
    if _is_text(head):
        return InputError(
            "is text, not a checkpoint ({start!r}); the download may have failed",
            start=head.decode("utf-8", "replace").strip().partition("\n")[0][:60],
        )
    return InputError(
        "is in no checkpoint format that bdshift knows (torch.save, safetensors, Keras), or is "
        "damaged"
    )


def _is_text(head: bytes) -> bool:
    return all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head[:256])


FOLDERS: Mapping[str, str] = {
    "adapter_config.json": words(
        "holds an adapter (LoRA), which is only a change to a base model: merge it "
        "into that model (merge_and_unload() of PEFT) and give the merged one",
        ja="アダプター（LoRA）です。基のモデルへの変更分だけなので、統合（PEFT の"
        " merge_and_unload()）したものを指定してください",
    ),
    "saved_model.pb": words(
        "is a TensorFlow SavedModel. {advice}", ja="TensorFlow の SavedModel です。{advice}"
    ),
    "tf_model.h5": words(
        "holds a TensorFlow model. {advice}", ja="TensorFlow モデルが入っています。{advice}"
    ),
    "flax_model.msgpack": words(
        "holds a Flax model. {advice}", ja="Flax モデルが入っています。{advice}"
    ),
    "checkpoint": words(
        "is a TensorFlow checkpoint. {advice}", ja="TensorFlow のチェックポイントです。{advice}"
    ),
    "Manifest.json": words(
        "is a Core ML package; give the PyTorch checkpoint that it was made from",
        ja="Core ML パッケージです。変換元の PyTorch チェックポイントを指定してください",
    ),
    ".metadata": words(
        "is a distributed checkpoint; turn it into one file with "
        "torch.distributed.checkpoint.format_utils.dcp_to_torch_save",
        ja="分散チェックポイントです。torch.distributed.checkpoint.format_utils.dcp_to_torch_save "
        "で 1 つのファイルにしてください",
    ),
    "data.pkl": words(
        "is a checkpoint that was unpacked: torch.save writes a zip, which is to stay packed",
        ja="展開されたチェックポイントです。torch.save が書く zip は、展開せずに指定してください",
    ),
    "MAR-INF": words(
        "is an unpacked TorchServe archive; give the checkpoint file inside",
        ja="展開された TorchServe アーカイブです。中のチェックポイントを指定してください",
    ),
}
"""Kinds of folders, by a file or folder that is in them."""
