"""The deployment package, made ready for a fast start: `python -m local.package --stage dev`.

Chalice makes its zip; this compiles what is in it and leaves out what nobody reads. Lambda's
code folder is read-only, so that an unprepared package is compiled at every cold start. The
zip stays under the name that Chalice gave it, and the next `chalice package` or `chalice
deploy` takes it as it is, until a source or a requirement changes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from chalice.config import Config
from chalice.deploy import packager as chalice_packager
from chalice.utils import UI, OSUtils

from bide.printable import printable
from bide.settings import Settings
from local.ballast import ballast
from local.children import ROOT, shown

CODE_FOLDER: Final = "/var/task"
"""Where Lambda unpacks the zip: what tracebacks name."""

MARK: Final = b"prepared by bide, 1"
"""The zip's comment: it need not be prepared again. The number counts ways of preparing."""

_BEGINNING: Final = (1980, 1, 1, 0, 0, 0)
"""Each file's date, the earliest that a zip can hold: the same input makes the same bytes."""


class PackageFailed(Exception):
    """The package could not be made; the message says why, and what to do."""


class Prepared(NamedTuple):
    """A zip, and what was done to it."""

    file: Path
    files: int
    """How many it holds, bytecode included."""
    left_out: tuple[str, ...]
    """Empty when it had been prepared before."""
    uncompiled: tuple[str, ...]
    """Sources that are no valid Python of this version; whoever imports one will hear of it."""


def prepare(project: Path, stage: str) -> Path:
    """Have Chalice make the project's deployment package, and prepare it. Returns its path.

    Deletes bytecode of the project's own packages first: Chalice would pack it, and count it in the
    package's name. Raises PackageFailed, also where packages of tasks are not among what was packed.
    """
    return prepare_verbosely(project, stage).file


def prepare_verbosely(project: Path, stage: str) -> Prepared:
    """`prepare`, with an account of it."""
    file = plain(project, stage)
    with zipfile.ZipFile(file) as opened:
        _look_for_tasks(
            opened.namelist(), stage, _read_config(project, stage).environment_variables, os.environ
        )
        if opened.comment == MARK:
            return Prepared(file, len(opened.namelist()), (), ())
        contents = {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}
    idle = ballast(contents)
    kept = {name: content for name, content in contents.items() if name not in idle}
    compiled = _compile(kept)
    _write(file, kept | compiled)
    bare = tuple(sorted(name for name in kept if name.endswith(".py") and _bytecode_of(name) not in compiled))
    return Prepared(file, len(kept) + len(compiled), tuple(sorted(idle)), bare)


def _look_for_tasks(
    packed: Sequence[str], stage: str, given: Mapping[str, str], here: Mapping[str, str]
) -> None:
    """Raises PackageFailed unless the functions will find the tasks that are meant.

    given: variables of the stage's functions. here: those of this process, which show what its user means.
    """
    unset = Settings().tasks
    loaded, told = Settings.read(given)[0].tasks, Settings.read(here)[0].tasks
    meant = loaded if told == unset else told
    for package in {*meant, *loaded} - {*unset}:
        path = package.replace(".", "/")
        if not any(name.startswith((f"{path}/", f"{path}.")) for name in packed):
            raise PackageFailed(
                f"BIDE_TASKS names {package}, of which no file is in the package: it has what vendor/ holds, "
                f"and what requirements.txt names. Link {path.partition('/')[0]} into vendor/, as bide is "
                "there, or name it in requirements.txt"
            )
    if set(meant) != set(loaded):
        raise PackageFailed(
            f"BIDE_TASKS is {','.join(meant)} here, and the functions of stage {stage} would load "
            f"{','.join(loaded)}: set it in that stage's environment_variables in .chalice/config.json, or "
            "unset it here"
        )


def plain(project: Path, stage: str) -> Path:
    """Chalice's own package of the project, or the prepared one where there is one. Raises PackageFailed."""
    config = _read_config(project, stage)
    for folder in _bytecode_folders(project / "vendor"):
        shutil.rmtree(folder)
    return _make(config)


def _read_config(project: Path, stage: str) -> Config:
    try:
        document = json.loads((project / ".chalice" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackageFailed(f"{project} is no Chalice project: {error}") from error
    stages = sorted(document.get("stages", {}))
    if stage not in stages:
        raise PackageFailed(f"there is no stage {stage!r} in .chalice/config.json, only {', '.join(stages)}")
    if document.get("automatic_layer") or document["stages"][stage].get("automatic_layer"):
        raise PackageFailed("automatic_layer moves our own code out of the package; remove it")
    config = Config(stage, user_provided_params={"project_dir": str(project)}, config_from_disk=document)
    ours = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if config.lambda_python_version != ours:
        # Bytecode is of one version; so are wheels with compiled parts, which Chalice fetches for its own.
        raise PackageFailed(
            f"the functions will run on {config.lambda_python_version}, and this is {ours}: "
            "prepare the package with the Python that Lambda has"
        )
    return config


def _bytecode_folders(vendor: Path) -> list[Path]:
    walked = os.walk(vendor, followlinks=True)
    return [Path(parent) / "__pycache__" for parent, folders, _ in walked if "__pycache__" in folders]


def _make(config: Config) -> Path:
    """Chalice's own zip, or the one that it would take again."""
    said, utils = io.StringIO(), OSUtils()
    maker = chalice_packager.LambdaDeploymentPackager(
        osutils=utils,
        dependency_builder=chalice_packager.DependencyBuilder(utils, architecture=config.lambda_architecture),
        ui=UI(said, said),
        architecture=config.lambda_architecture,
    )
    file = Path(maker.deployment_package_filename(config.project_dir, config.lambda_python_version))
    if file.exists() and not _is_of_use(file):
        file.unlink()
    try:
        maker.create_deployment_package(config.project_dir, config.lambda_python_version)
        failed = said.getvalue() if "Could not install" in said.getvalue() else ""
    except (chalice_packager.PackageDownloadError, chalice_packager.NoSuchPackageError) as error:
        failed = str(error)
    if not failed:
        return file
    file.unlink(missing_ok=True)  # or the next try would take it for good
    raise PackageFailed(
        f"what requirements.txt names could not be had: {failed.strip()}\n"
        "Without a network, wheels that were put by will do, such as those of `make venv`: "
        "PIP_NO_INDEX=1 PIP_FIND_LINKS=.venv/wheelhouse"
    )


def _is_of_use(file: Path) -> bool:
    """Whether an earlier package can be taken: not one that was interrupted, or prepared by other code."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as opened:
        return opened.comment == MARK or not opened.comment.startswith(MARK.partition(b",")[0])


def _bytecode_of(name: str) -> str:
    """Where the bytecode of a source stands."""
    folder, _, file = name.rpartition("/")
    cached = f"__pycache__/{file.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
    return f"{folder}/{cached}" if folder else cached


def _compile(files: dict[str, bytes]) -> dict[str, bytes]:
    """The bytecode of all sources, by name; none of what is no valid Python.

    Unchecked-hash bytecode is used without a look at its source, whatever dates an unpacking gives.
    """
    sources = [name for name in files if name.endswith(".py")]
    with tempfile.TemporaryDirectory(prefix="bide-package-") as folder:
        for name in sources:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
        # In a process of its own: what else has been loaded shows in the bytes of the bytecode.
        subprocess.run(
            [sys.executable, "-s", "-S", "-m", "compileall", "-qq", "-f", "-s", folder, "-p", CODE_FOLDER,
             "--invalidation-mode", "unchecked-hash", folder],
            env={"PYTHONHASHSEED": "0"},
            stdout=subprocess.DEVNULL,
            check=False,  # 1 when one source could not be compiled
        )  # fmt: skip
        paths = {name: Path(folder, _bytecode_of(name)) for name in sources}
        return {_bytecode_of(name): path.read_bytes() for name, path in paths.items() if path.exists()}


def _write(file: Path, contents: dict[str, bytes]) -> None:
    """Write the zip in one step: who finds it finds all of it."""
    draft = file.with_suffix(".draft")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
        opened.comment = MARK
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _BEGINNING)
            entry.create_system = 3  # Unix: Lambda takes the modes below
            entry.external_attr = (stat.S_IFREG | (0o755 if name.endswith(".so") else 0o644)) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(entry, contents[name], compresslevel=9)
    draft.replace(file)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.package", description="Make the deployment package, ready for a fast start."
    )
    parser.add_argument("--stage", default="dev", help="of .chalice/config.json")
    parser.add_argument("--project", type=Path, default=ROOT, metavar="DIR", help="default: this clone")
    arguments = parser.parse_args()
    try:
        prepared = prepare_verbosely(arguments.project.resolve(), arguments.stage)
    except PackageFailed as error:
        print(printable(f"package: {error}"), file=sys.stderr)
        return 1
    size = prepared.file.stat().st_size
    print(f"{shown(prepared.file)}: {size:,} bytes, {prepared.files} files, {sys.implementation.cache_tag}")
    if prepared.left_out:
        print(f"left out, as nobody reads them: {len(prepared.left_out)} files")
    for name in prepared.uncompiled:
        print(f"not compiled, being no valid Python: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
