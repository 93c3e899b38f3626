"""What `bide` draws on a terminal: with rich tables and live lines, without it plain text."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bide_client import exit_codes
from bide_client.rich_screen import RichScreen
from bide_client.table import Column, Line, Marked, Table

from .replies import ID, listed, queue_json, series_json, server_json, succeeded, unfinished, worker_json
from .stub_server import Asked, Reply, StubServer

ROOT = Path(__file__).parents[2]
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MOVES = re.compile(r"\x1b\[\??[0-9;]*[A-Za-z]")


@pytest.fixture
def drawn() -> tuple[RichScreen, io.StringIO]:
    """A screen that draws into a text."""
    output = io.StringIO()
    console = Console(
        file=output, force_terminal=True, width=60, highlight=False, markup=False, emoji=False, _environ={}
    )
    return RichScreen(console), output


class Terminal:
    """A `bide` process on a terminal of its own; stderr is a pipe."""

    def __init__(self, url: str, *words: str, prelude: str = "", **variables: str) -> None:
        environ = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
        environ |= {"BIDE_URL": url, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "160"}
        program = f"{prelude}\nimport sys\nfrom bide_client.cli import main\nsys.exit(main({list(words)!r}))"
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(theirs)
        self.output = ""
        self.wrote = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._ours, 65_536)
            except OSError as error:
                if error.errno != errno.EIO:  # which is what the end of a terminal looks like
                    raise
                chunk = b""
            with self.wrote:
                self.output += chunk.decode()
                self.wrote.notify_all()
            if not chunk:
                return

    def shows(self, text: str) -> bool:
        """Whether it shows the text within 20 seconds."""
        with self.wrote:
            return self.wrote.wait_for(lambda: text in MOVES.sub("", self.output), 20)

    def end(self) -> tuple[int, str, str]:
        """Its exit code, what it drew, what it said on stderr."""
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        code = self.process.wait(20)
        self._reader.join(20)
        return code, self.output.replace("\r\n", "\n"), said


@contextlib.contextmanager
def on_terminal(url: str, *words: str, prelude: str = "", **variables: str) -> Iterator[Terminal]:
    terminal = Terminal(url, *words, prelude=prelude, **variables)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait(20)
        terminal._reader.join(20)
        os.close(terminal._ours)
        if terminal.process.stderr is not None:
            terminal.process.stderr.close()


def test_a_table_has_colours_by_what_its_cells_are(drawn: tuple[RichScreen, io.StringIO]) -> None:
    screen, output = drawn
    found = Table((Column("state"), Column("n", right=True)), title="Tasks")
    found.add(Marked("failed", "failed"), "12")
    screen.show(found, "done")
    text = output.getvalue()
    assert "\x1b[31mfailed" in text
    plain = [line.strip() for line in COLOUR.sub("", text).splitlines()]
    assert [line for line in plain if line] == ["Tasks", "state    n", "─" * 10, "failed  12", "done"]


def test_what_looks_like_markup_is_shown_as_it_is(drawn: tuple[RichScreen, io.StringIO]) -> None:
    screen, output = drawn
    found = Table((Column("[b]x[/b]"),))
    found.add("[red]a[/red] :smile: \x1b[2J")
    screen.show("[bold]head[/bold] \x1b]0;owned\x07", found, Marked("[/]", "failed"))
    with screen.line() as tell:
        tell(Line("[blink]half[/blink]\x1b[2J", 0.5))
    text = output.getvalue()
    for spelled in (
        "[b]x[/b]",
        "[red]a[/red] :smile: \\u001b[2J",
        "[bold]head[/bold] \\u001b]0;owned\\u0007",
    ):
        assert spelled in text
    assert "[blink]half[/blink]\\u001b[2J" in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text


def test_what_is_not_visible_is_spelt_out_on_a_terminal(drawn: tuple[RichScreen, io.StringIO]) -> None:
    screen, output = drawn
    hidden = "\u200b\u200f\u061c\ufeff\U000e0041\x9b"
    found = Table((Column("message"),), title=hidden)
    found.add(f"a{hidden}")
    screen.show(f"b{hidden}", found, Marked(f"c{hidden}", "failed"))
    with screen.line() as tell:
        tell(Line(f"d{hidden}", 0.5))
    assert not set(output.getvalue()) & set(hidden)
    for letter in "abcd":
        assert f"{letter}\\u200b\\u200f\\u061c\\ufeff\\U000e0041\\u009b" in output.getvalue()


def test_an_id_is_never_cut(drawn: tuple[RichScreen, io.StringIO]) -> None:
    screen, output = drawn
    found = Table((Column("id", whole=True), Column("message")))
    found.add(ID, "a long message that has to be folded " * 3)
    screen.show(found, f"a line with {ID} that is wider than the terminal is left to the terminal")
    assert output.getvalue().count(ID) == 2


def test_rows_of_a_table_that_is_too_wide_take_several_lines(drawn: tuple[RichScreen, io.StringIO]) -> None:
    screen, output = drawn
    columns = (
        Column("id", whole=True),
        Column("submitted", whole=True),
        Column("n", right=True),
        Column("why"),
    )
    found = Table(columns, title="Tasks")
    found.add(
        Marked(ID, "failed"), "2026-11-23 21:00:00.123Z", "1,234,567", "because of this and of " + "that " * 9
    )
    found.add(ID, "2026-11-23 21:00:00.123Z", "7", "")
    screen.show(found)
    assert f"\x1b[31m{ID}" in output.getvalue()
    assert [line.rstrip() for line in COLOUR.sub("", output.getvalue()).splitlines()] == [
        "Tasks",
        f"id{' ' * 34}submitted",
        "            n",
        "    why",
        "─" * 60,
        f"{ID}  2026-11-23 21:00:00.123Z",
        "    1,234,567",
        "    because of this and of that that that that that that",
        "    that that that",
        f"{ID}  2026-11-23 21:00:00.123Z",
        "            7",
    ]


def test_an_id_that_is_wider_than_the_terminal_is_whole(drawn: tuple[RichScreen, io.StringIO]) -> None:
    screen, output = drawn
    found = Table((Column("n", right=True), Column("id", whole=True)))
    found.add("1", ID * 3)
    screen.show(found)
    assert ID * 3 in output.getvalue()


def test_where_nothing_is_told_nothing_is_drawn(drawn: tuple[RichScreen, io.StringIO]) -> None:
    screen, output = drawn
    with contextlib.suppress(ValueError), screen.line():
        raise ValueError
    assert output.getvalue() == ""


def test_rows_are_shown_together_even_when_more_fail_to_come(drawn: tuple[RichScreen, io.StringIO]) -> None:
    screen, output = drawn
    part = Table((Column("id"),))
    part.add("q~1")
    with contextlib.suppress(KeyboardInterrupt), screen.rows() as add:
        add(part, 1)
        raise KeyboardInterrupt
    assert "q~1" in output.getvalue()


def test_the_last_line_stays(drawn: tuple[RichScreen, io.StringIO]) -> None:
    screen, output = drawn
    with screen.line() as tell:
        tell(Line("5 of 12", 5 / 12))
        tell(Line("12 of 12"))
    assert MOVES.sub("", output.getvalue()).rstrip().splitlines()[-1].strip() == "12 of 12"


def test_on_a_terminal_a_list_is_a_table_with_colours(stub: StubServer) -> None:
    stub.plays(listed("q~1", state="failed"), listed("q~1", state="failed"))
    with on_terminal(stub.url, "list") as terminal:
        code, out, _ = terminal.end()
    assert code == exit_codes.OK
    assert "\x1b[31mfailed" in out
    assert "──" in out
    with on_terminal(stub.url, "list", NO_COLOR="1") as terminal:
        code, out, _ = terminal.end()
    assert "failed" in out
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", out), "NO_COLOR takes the colours away"


def test_a_search_for_a_code_tells_how_many_it_has_looked_at(stub: StubServer) -> None:
    release = threading.Event()
    last = listed("q~3", error={"code": "TIMEOUT", "message": "slow"})
    stub.plays(listed("q~1", "q~2", next_page_token="more"), replace(last, until=release))
    with on_terminal(stub.url, "dead", "list", "--code", "TIMEOUT") as terminal:
        assert terminal.shows("searching: 0 found among 2")
        release.set()
        code, out, _ = terminal.end()
    assert code == exit_codes.OK
    assert "q~3" in out
    assert "q~1" not in out


@pytest.mark.parametrize(
    ("prelude", "variables"),
    [
        ("import sys; sys.modules['rich'] = None", {}),
        ("", {"TERM": "dumb"}),
    ],
    ids=["rich is not installed", "the terminal is dumb"],
)
def test_elsewhere_a_terminal_gets_plain_text(
    stub: StubServer, prelude: str, variables: dict[str, str]
) -> None:
    stub.plays(listed("q~1"))
    with on_terminal(stub.url, "list", prelude=prelude, **variables) as terminal:
        code, out, _ = terminal.end()
    assert code == exit_codes.OK
    assert out.splitlines()[0].split() == ["id", "task", "state", "submitted", "took", "about", "it"]
    assert "\x1b" not in out


def test_json_on_a_terminal_is_json(stub: StubServer) -> None:
    stub.plays(listed("q~1"))
    with on_terminal(stub.url, "list", "--json") as terminal:
        _, out, _ = terminal.end()
    assert out.startswith('{"id": "q~1"')
    assert "\x1b" not in out


def test_watch_draws_its_line_in_place(stub: StubServer) -> None:
    stub.plays(unfinished(60, progress={"fraction": 0.5, "message": "half way"}), succeeded(5))
    with on_terminal(stub.url, "watch", ID, "--every", "0.2") as terminal:
        code, out, _ = terminal.end()
    assert code == exit_codes.OK
    assert "half way" in out
    assert "━" in out, "a bar shows how far it is"
    assert MOVES.sub("", out).rstrip().splitlines()[-1] == "5"
    assert "\x1b[?25h" in out, "the cursor is shown again"


def look(asked: Asked) -> Reply:
    path = asked.path.partition("?")[0]
    series = {"minutes": 5, "series": [series_json()]}
    return Reply(
        200,
        {
            "/v1/queues": {"queues": [queue_json(ready=3)]},
            "/v1/workers": {"workers": [worker_json()]},
            "/v1/stats/series": series,
            "/v1/server": server_json(left=7),
        }[path],
    )


def test_top_is_drawn_again_until_ctrl_c(stub: StubServer) -> None:
    def falling(asked: Asked) -> Reply:
        reply = look(asked)
        if asked.path == "/v1/server":
            rounds = sum(each.path == "/v1/server" for each in stub.asked)
            return Reply(200, server_json(left=1000 - rounds))
        return reply

    stub.otherwise = falling
    with on_terminal(stub.url, "top", "--every", "0.2") as terminal:
        assert terminal.shows("999 tasks left")
        assert terminal.shows("997 tasks left")
        terminal.process.send_signal(signal.SIGINT)
        code, out, said = terminal.end()
    assert (code, said) == (exit_codes.OK, "")
    assert "\x1b[?1049h" in out, "on a screen of its own"
    assert out.rindex("\x1b[?1049l") > out.rindex("tasks left"), "which is left behind"


def test_a_live_view_is_never_wider_than_the_terminal(stub: StubServer) -> None:
    stub.otherwise = look
    with on_terminal(stub.url, "top", COLUMNS="80") as terminal:
        assert terminal.shows("start p95")
        terminal.process.send_signal(signal.SIGINT)
        _, out, _ = terminal.end()
    lines = MOVES.sub("\n", COLOUR.sub("", out)).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.split() == ["done/min", "start", "p95"] for line in lines)


def test_top_once_draws_once(stub: StubServer) -> None:
    stub.otherwise = look
    with on_terminal(stub.url, "top", "--once") as terminal:
        code, out, _ = terminal.end()
    assert code == exit_codes.OK
    assert "\x1b[?1049h" not in out
    assert len(stub.asked) == 4


def test_top_without_rich_looks_once_and_says_what_is_missing(stub: StubServer) -> None:
    stub.otherwise = look
    with on_terminal(stub.url, "top", prelude="import sys; sys.modules['rich'] = None") as terminal:
        code, out, said = terminal.end()
    assert code == exit_codes.OK
    assert "default" in out
    assert "pip install '.[rich]'" in said
