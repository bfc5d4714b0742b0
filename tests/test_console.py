"""Where commands speak: on terminals with and without colours and Unicode, and into pipes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest

from satcomp_infra.commands.status import _drawing
from satcomp_infra.progress import Console
from satcomp_infra.units import minutes

UMLAUTS = "Das Modell erfüllt die Klausel «3» nicht …"
Setting = Callable[..., None]


class Stream(io.TextIOWrapper):
    """A stream that keeps what is written to it."""

    def __init__(self, encoding: str, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="\n")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def written(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "LC_ALL", "LC_CTYPE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"LANG": "C.UTF-8", "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)


def tell_everything(out: Stream, err: Stream) -> None:
    """Use each way of saying something, with letters that are not ASCII."""
    console = Console(out, err, interactive=err.isatty(), sleep=lambda _: None)
    console.result(UMLAUTS)
    console.verbatim(UMLAUTS)
    console.say(UMLAUTS)
    console.error(UMLAUTS, f"{UMLAUTS} {UMLAUTS}")
    console.error(UMLAUTS)
    with console.waiting(UMLAUTS, 3) as wait:
        wait.update(UMLAUTS * 3, 1)
        wait.draw(UMLAUTS * 3, 2, [UMLAUTS * 3])
        wait.event(UMLAUTS)
    with console.bars() as bars:
        bars.update("sha256ü", 1, 2)
        bars.finish("sha256ü")
    with _drawing(console) as draw:
        draw(UMLAUTS)


@pytest.mark.parametrize("terminal", [True, False])
def test_without_unicode_nothing_fails_and_nothing_else_than_ascii_is_shown(terminal: bool) -> None:
    out, err = Stream("ascii", terminal=terminal), Stream("ascii", terminal=terminal)
    tell_everything(out, err)
    assert "erf?llt" in out.written()
    assert 'die Klausel "3" nicht ...' in out.written()
    assert "erf?llt" in err.written()


@pytest.mark.parametrize("setting", [{"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LANG": "", "LC_CTYPE": "C.UTF-8"}])
def test_a_terminal_in_the_c_locale_gets_ascii_whatever_python_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, setting: dict[str, str]
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    out, err = Stream("utf-8", terminal=True), Stream("utf-8", terminal=True)
    tell_everything(out, err)
    assert out.written().isascii()
    assert err.written().isascii()


def test_with_unicode_all_letters_are_shown() -> None:
    out, err = Stream("utf-8", terminal=True), Stream("utf-8", terminal=True)
    tell_everything(out, err)
    assert "erfüllt" in out.written()
    assert "━" in err.written()


def screen(terminal: bool) -> Stream:
    out = Stream("utf-8", terminal=terminal)
    console = Console(out, out)
    for line in ("All is well.", "SAT in 0.10 s", "Stop them:\n./update_instances --option shutdown"):
        console.result(line)
    console.error("It failed.", "Type:\n./show_status")
    return out


def test_colours_are_for_terminals_and_leave_the_text_as_it_is() -> None:
    plain, coloured = screen(terminal=False).written(), screen(terminal=True).written()
    assert "\x1b" not in plain
    assert "\x1b[32mAll is well.\x1b[0m\n" in coloured
    assert "\x1b[31mIt failed.\x1b[0m\n" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == plain


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")])
def test_colours_can_be_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert screen(terminal=True).written() == screen(terminal=False).written()


@pytest.mark.parametrize(
    ("term", "terminal", "interactive"), [("xterm", True, True), ("dumb", True, False), ("xterm", False, False)]
)
def test_only_where_a_cursor_can_move_waits_are_drawn_in_place(
    monkeypatch: pytest.MonkeyPatch, term: str, terminal: bool, interactive: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr", Stream("utf-8", terminal=terminal))
    console = Console.standard()
    assert console.interactive is interactive
    with console.waiting("Waiting", 2) as wait:
        wait.update("one of two", 1)
    assert isinstance(console.err, Stream)
    told = console.err.written()
    assert ("\x1b[" in told) is interactive
    assert interactive or told == "Waiting ...\n0:00  one of two\n"


def test_an_error_stands_in_a_line_where_it_fits_else_what_to_do_stands_below_what_is_wrong() -> None:
    err = Stream("utf-8")
    console = Console(Stream("utf-8"), err)
    console.error("It failed.", "Try again.")
    console.error("It failed, and that is a pity.", "Try again, but not before the reason is found out by somebody.")
    assert err.written().splitlines() == [
        "It failed. Try again.",
        "It failed, and that is a pity.",
        "Try again, but not before the reason is found out by somebody.",
    ]


def test_what_is_for_programs_is_never_broken() -> None:
    out = Stream("utf-8")
    Console(out, out).verbatim("v " + "1 " * 100)
    assert out.written() == "v " + "1 " * 100 + "\n"


def test_a_question_is_asked_beside_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(" yes \n"))
    out, err = Stream("utf-8"), Stream("utf-8")
    console = Console(out, err)
    assert not console.is_attended
    assert console.ask("Go on?") == "yes"
    assert console.ask("Go on?") == ""
    assert (out.written(), err.written()) == ("", "Go on? Go on? ")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (59.9, "0:59"), (61, "1:01"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_the_time_of_a_wait_is_shown_as_clocks_do(seconds: float, shown: str) -> None:
    assert minutes(seconds) == shown
