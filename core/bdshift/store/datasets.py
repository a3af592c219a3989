"""The datasets of an audit file, which may come from anyone: links out of it, bombs, and
inconsistent values are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bdshift.arrays import Shape
from bdshift.hdf5_data import LZF, SHUFFLE, filters, has_fitting_chunks, holds_numbers, is_local

_MAX_BYTES_A_BYTE = 100  # LZF packs at most 88 to 1; a dataset that claims more is a bomb
_MAX_BYTES, _MAX_USUAL_RATIO = 1024**3, 20  # of a file's numbers in memory: what is more is allowed
_FILTERS = frozenset({SHUFFLE, LZF})
_MAX_LINKS = 200_000  # in a file; ten purified models of a ResNet-1202 take 70 000
_MAX_LEVELS, _MAX_PLACE = 16, 1000  # groups in groups, and characters of a place
_MAX_UNKNOWN_BYTES = 256 * 1024 * 1024
_MAX_UNKNOWN = 1000


class Datasets:
    """The datasets of an open file of ``size`` bytes: all together no more than it can hold.

    ``place_of`` says where a dataset is in this file, since older schemas have other places.
    """

    def __init__(self, file: h5py.File, size: int, place_of: Callable[[str], str]) -> None:
        self._file = file
        self._room = max(_MAX_USUAL_RATIO * size, min(_MAX_BYTES, _MAX_BYTES_A_BYTE * size))
        self._links = _MAX_LINKS
        self._place_of = place_of
        self._read: dict[int, str] = {}

    def __contains__(self, name: str) -> bool:
        try:
            self._find(self._place_of(name))
        except (KeyError, ValueError):
            return False
        return True

    def find(self, name: str, item_bytes: int = 1) -> h5py.Dataset:
        """A dataset of this very file: a link into another file is not followed, nor a second link
        to a dataset. Each of its numbers is going to take ``item_bytes`` at least.
        """
        place = self._place_of(name)
        found = self._find(place)
        if not _is_plain(found) or found.dtype.kind not in "fiu":
            raise ValueError(f"{name} is kept in another way")
        return self._counted(name, place, found, item_bytes)

    def _counted(
        self, name: str, place: str, found: h5py.Dataset, item_bytes: int = 1
    ) -> h5py.Dataset:
        address = h5py.h5o.get_info(found.id).addr
        if self._read.setdefault(address, place) != place:
            raise ValueError(f"{name} is another name of what was read before")
        self._room -= max(found.nbytes, found.size * item_bytes)
        if found.nbytes > _MAX_BYTES_A_BYTE * found.id.get_storage_size():
            raise ValueError(f"{name} claims {found.nbytes} bytes, more than the file can hold")
        if self._room < 0:
            raise ValueError("its numbers would take far more memory than the file")
        return found

    def _find(self, place: str) -> h5py.Dataset:
        group: Any = self._file
        for part in place.split("/"):
            if not isinstance(group, h5py.Group):
                raise KeyError(place)
            link = group.get(part, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise KeyError(place)
            group = group[part]
        if not isinstance(group, h5py.Dataset) or not is_local(group):
            raise KeyError(place)
        return group

    def array(self, name: str, shape: Shape, sizes: dict[str, int]) -> NDArray[Any]:
        """All of a dataset, if it has this shape; letters that ``sizes`` lacks are added to it."""
        dataset = self.find(name, shape.dtype.itemsize)
        if len(dataset.shape) != len(shape.sizes):
            raise ValueError(f"{name} has {len(dataset.shape)} dimensions")
        for wanted, size in zip(shape.sizes, dataset.shape, strict=True):
            known = wanted if isinstance(wanted, int) else sizes.setdefault(wanted, int(size))
            if known != size:
                raise ValueError(f"{name} is {dataset.shape}, not {shape.sizes}")
        return np.asarray(dataset[()], dtype=shape.dtype)

    def unread(self) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
        """Datasets that were not requested, perhaps a newer version's, by their place; and the
        places of those that are too large, or stored in a way that could be.
        """
        room, kept, left = _MAX_UNKNOWN_BYTES, {}, []
        for place in self._places(self._file, "", 0, set()):
            found = self._find(place)
            if h5py.h5o.get_info(found.id).addr in self._read:
                continue
            plain = _is_plain(found) and found.dtype.kind in "fiubc"
            try:
                if found.nbytes > room or not plain:
                    raise ValueError(place)
                kept[place] = self._counted(place, place, found)[()]
                room -= found.nbytes
            except ValueError:
                left.append(place)
        return kept, tuple(left)

    def _places(self, group: h5py.Group, at: str, level: int, seen: set[int]) -> Iterator[str]:
        self._links -= len(group)
        if self._links < 0:
            raise ValueError(f"it holds more than {_MAX_LINKS:,} links")
        for name in group:
            if len(at) + len(name) > _MAX_PLACE or level > _MAX_LEVELS:
                raise ValueError(
                    "it holds names that are longer, or nested deeper, than any audit's"
                )
            if len(seen) > _MAX_UNKNOWN * 10 or not isinstance(
                group.get(name, getlink=True), h5py.HardLink
            ):
                continue
            one = group[name]
            address = h5py.h5o.get_info(one.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(one, h5py.Group):
                yield from self._places(one, f"{at}{name}/", level + 1, seen)
            elif isinstance(one, h5py.Dataset) and is_local(one):
                yield f"{at}{name}"


def _is_plain(dataset: h5py.Dataset) -> bool:
    return holds_numbers(dataset) and filters(dataset) <= _FILTERS and has_fitting_chunks(dataset)
