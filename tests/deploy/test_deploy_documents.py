"""docs/deploying.md says of the functions what the configuration says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from deployment import ROOT

from local.deploy import Stage

PAGE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
CONFIG = json.loads((ROOT / ".chalice" / "config.json").read_text())
ROWS = {
    name: (timeout, memory)
    for name, timeout, memory in re.findall(
        r"^\| `(bide-dev[\w-]*)` \|[^|]*\| (\d+) s \| ([\d /]+) MB \|$", PAGE, re.MULTILINE
    )
}


def test_the_page_tells_of_every_function() -> None:
    described = {name.removeprefix("bide-dev").lstrip("-") or "api_handler" for name in ROWS}
    assert described == set(CONFIG["stages"]["dev"]["lambda_functions"])


@pytest.mark.parametrize("name", ROWS)
def test_the_page_has_timeout_and_memory_of_a_function(name: str) -> None:
    function = name.removeprefix("bide-dev").lstrip("-") or "api_handler"
    timeout, memory = ROWS[name]
    own = [CONFIG["stages"][stage]["lambda_functions"][function] for stage in ("dev", "prod")]
    assert {str(found["lambda_timeout"]) for found in own} == {timeout}
    sizes = [str(found.get("lambda_memory_size", CONFIG["lambda_memory_size"])) for found in own]
    assert memory.split(" / ") == (sizes if sizes[0] != sizes[1] else sizes[:1])


@pytest.mark.parametrize("stage", CONFIG["stages"])
def test_a_stage_names_its_own_function_queue_and_prefix(stage: str) -> None:
    settings = Stage.read(ROOT, stage).settings
    assert settings.drain_function == f"{CONFIG['app_name']}-{stage}-drain"
    assert settings.wake_queue == f"{CONFIG['app_name']}-{stage}-wake"
    others = [Stage.read(ROOT, other).settings.prefix for other in CONFIG["stages"] if other != stage]
    assert settings.prefix not in others


@pytest.mark.parametrize("stage", CONFIG["stages"])
def test_a_stage_tells_dollars_by_the_memory_that_its_workers_have(stage: str) -> None:
    drain = CONFIG["stages"][stage]["lambda_functions"]["drain"]
    assert Stage.read(ROOT, stage).settings.memory_mb == drain["lambda_memory_size"]


@pytest.mark.parametrize("stage", CONFIG["stages"])
def test_requests_that_wait_take_a_quarter_of_what_the_api_has_at_most(stage: str) -> None:
    read = Stage.read(ROOT, stage)
    reserved = CONFIG["stages"][stage]["lambda_functions"]["api_handler"]["reserved_concurrency"]
    assert read.settings.api_concurrency == read.api_concurrency == reserved
    assert 0 < read.settings.most_waits <= reserved / 4
    assert read.overstated() == []


@pytest.mark.parametrize(("reserved", "told"), [(20, 1), (None, 0), (64, 0)])
def test_a_concurrency_that_lambda_would_not_keep_is_named(
    tmp_path: Path, reserved: int | None, told: int
) -> None:
    function = {} if reserved is None else {"reserved_concurrency": reserved}
    stage = {"environment_variables": {}, "lambda_functions": {"api_handler": function}}
    (tmp_path / ".chalice").mkdir()
    config = {"app_name": "bide", "stages": {"dev": stage}}
    (tmp_path / ".chalice" / "config.json").write_text(json.dumps(config))
    assert len(Stage.read(tmp_path, "dev").overstated()) == told


def test_what_is_to_be_filled_in_is_empty_as_shipped() -> None:
    """Nobody's server is deployed with a key or a store that a repository tells."""
    for stage in CONFIG["stages"].values():
        assert stage["environment_variables"]["BIDE_REDIS_URL"] == ""
        assert stage["environment_variables"]["BIDE_API_KEY_HASHES"] == ""
        assert stage["environment_variables"]["BIDE_OPERATOR_KEY_HASHES"] == ""
