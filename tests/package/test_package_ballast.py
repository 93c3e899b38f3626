"""What is left out of a package: nothing that any code in it reads."""

from __future__ import annotations

import pytest

from local.ballast import ballast

METADATA = "some_thing-1.0.dist-info/METADATA"


@pytest.mark.parametrize(
    "name",
    [
        "lib/types.pyi",
        "lib/py.typed",
        "lib/tests/test_it.py",
        "lib/__pycache__/mod.cpython-39.pyc",
        METADATA,
        "other.egg-info/PKG-INFO",
    ],
)
def test_what_nobody_reads_is_ballast(name: str) -> None:
    assert ballast({name: b"", "lib/__init__.py": b""}) == {name}


@pytest.mark.parametrize(
    "name",
    [
        "lib/mod.py",
        "lib/data.json",
        "lib/fast.cpython-311-x86_64-linux-gnu.so",
        "lib/without_source.pyc",
        "tests/is_a_package_of_ours.py",
        "lib/certificates.pem",
    ],
)
def test_what_may_be_read_is_kept(name: str) -> None:
    assert ballast({name: b""}) == frozenset()


def test_bytecode_beside_its_source_is_ballast() -> None:
    assert ballast({"lib/mod.py": b"", "lib/mod.pyc": b""}) == {"lib/mod.pyc"}


@pytest.mark.parametrize(
    "source",
    [
        "from importlib.metadata import version\nversion('some-thing')",
        "import importlib_metadata\nimportlib_metadata.distribution('Some.Thing')",
        "import pkg_resources\npkg_resources.get_distribution('some_thing')",
        "from importlib import metadata\nmetadata.version(name)",
        "import importlib.metadata\nfor point in importlib.metadata.entry_points(group='x'): ...",
        "import importlib.metadata\nprint 'the Python of long ago'",
    ],
)
def test_metadata_that_is_asked_for_is_kept(source: str) -> None:
    assert ballast({METADATA: b"", "lib.py": source.encode()}) == frozenset()


@pytest.mark.parametrize(
    "source",
    [
        "from importlib.metadata import version\nversion('another')",
        "import importlib.metadata",
        "def version(of): ...\nversion('some-thing')",
    ],
)
def test_metadata_that_nobody_asks_for_is_not(source: str) -> None:
    assert ballast({METADATA: b"", "lib.py": source.encode()}) == {METADATA}
