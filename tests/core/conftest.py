"""What tests of the library share beside tests/conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from image_set_files import cifar_folder


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """CIFAR-10's folder of pickled batches, small."""
    return cifar_folder(tmp_path)
