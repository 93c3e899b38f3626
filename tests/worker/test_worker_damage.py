"""Records that cannot be read harm nobody but themselves."""

from __future__ import annotations

from stage import Stage

from bide.state import State


def test_an_unreadable_submission_fails_alone(stage: Stage) -> None:
    damaged = stage.submit("succeed", name="damaged")
    specs = stage.store.keys.slot("default", ("specs",))[0]
    spec = stage.store.command("HGET", specs, damaged.key)
    stage.store.command("HSET", specs, damaged.key, b"\x91\x01")
    neighbour = stage.submit("succeed", name="neighbour")
    stage.start_worker()
    assert stage.until(neighbour).run.state is State.SUCCEEDED
    stage.store.command("HSET", specs, damaged.key, spec)
    view = stage.until(damaged)
    assert view.run.state is State.FAILED
    assert stage.outcome(damaged)["code"] == "RECORD_UNREADABLE"
    assert stage.effects("damaged") == []
