"""How what is said is laid out: in 80 columns, commands whole, with colours that say nothing more."""

from __future__ import annotations

import re

import pytest

from satcomp_infra.colours import painted
from satcomp_infra.layout import WIDTH, command, encodable, join, lay_out

PROSE = "The leader takes a job, fetches its problem, runs the solver, and puts what came of it into the bucket. " * 3
COMMAND = "./send_message --location s3://123456789012-us-east-1-my-solver/test.cnf --workers 2 --await-response"


@pytest.mark.parametrize(
    ("first", "below"),
    [
        ("", ""),
        ("- ", "  "),
        ("  3. ", "     "),
        ("# ", "# "),
        ("    | ", "    | "),
        ("0:07  ", "      "),
        ("  automatic stop  ", " " * 18),
        ("Cost            ", " " * 16),
    ],
)
def test_a_long_line_goes_on_below_its_text(first: str, below: str) -> None:
    lines = lay_out(first + PROSE.strip())
    assert len(lines) > 3
    assert all(len(line) <= WIDTH for line in lines)
    assert lines[0].startswith(first)
    assert all(line.startswith(below) and not line[len(below) :].startswith(" ") for line in lines[1:])
    assert " ".join(line[len(below) :] for line in lines) == first[len(below) :] + PROSE.strip()


@pytest.mark.parametrize("line", ["", "  machines        3 of type m6i.4xlarge", "run     wrong  errors", "x" * WIDTH])
def test_a_line_that_fits_is_left_as_it_is(line: str) -> None:
    assert lay_out(line) == [line]


def test_what_is_to_be_copied_is_never_broken_and_stands_below_what_is_said() -> None:
    uri = f"s3://123456789012-us-east-1-my-solver/results/{'0' * 36}/result.json"
    assert lay_out(f"Type:\n{COMMAND}") == ["Type:", f"  {COMMAND}"]
    assert lay_out(f"- Its result:\n{uri}\n  That is it.") == ["- Its result:", f"    {uri}", "  That is it."]
    assert lay_out(f"  1. Next:\n     {COMMAND}") == ["  1. Next:", f"     {COMMAND}"]


def test_what_belongs_together_stays_together() -> None:
    for whole in ("--solver-type parallel", "'aws configure sso'", "640 vCPU", "p = 0.156"):
        for length in range(50, WIDTH):
            lines = lay_out(f"{'x' * length} {whole} and so on, for longer than the line is")
            assert any(whole in line for line in lines)
            assert all(len(line) <= WIDTH for line in lines)


def test_sentences_go_on_in_a_line_but_for_what_is_to_be_copied() -> None:
    assert join("It failed.", "", "Try again.") == "It failed. Try again."
    assert join("Stop it:\n./stop", "Then go on.") == "Stop it:\n./stop\nThen go on."
    assert join("It ended.\n  | boom", "Mend it.") == "It ended.\n  | boom\nMend it."
    assert join("Type:", "./start") == "Type:\n./start"


def test_what_would_make_a_terminal_do_something_is_left_out() -> None:
    assert lay_out("a\x1b[31mb\x1b[0m\x07 c\r") == ["ab  c "] or lay_out("a\x1b[31mb\x1b[0m\x07 c\r") == ["ab  c"]


@pytest.mark.parametrize(
    "words", [COMMAND.split(), ["./rehearse"], ["aws", "s3", "cp", "a b.cnf", f"s3://{'b' * 70}/"]]
)
def test_a_command_that_is_too_wide_can_be_pasted_all_the_same(words: list[str]) -> None:
    shown = command(words)
    lines = shown.removeprefix("$ ").split(" \\\n")
    assert all(len(line) <= WIDTH or len(line.split()) == 1 for line in shown.split("\n"))
    assert [re.sub("'", "", part) for line in lines for part in [line.strip()]] == [
        " ".join(words)[start:end].strip()
        for start, end in zip(
            [0, *_ends(lines)[:-1]],
            _ends(lines),
            strict=True,
        )
    ]


def _ends(lines: list[str]) -> list[int]:
    ends, at = [], 0
    for line in lines:
        at += len(line.strip().replace("'", "")) + 1
        ends.append(at)
    return ends


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [("done … “so”", 'done ... "so"'), ("a → b", "a -> b"), ("Müller", "M?ller"), ("plain", "plain"), ("\udcff", "?")],
)
def test_what_an_encoding_lacks_is_replaced(text: str, ascii_text: str) -> None:
    assert encodable(text, "ascii") == ascii_text
    encodable(text, "utf-8").encode()


@pytest.mark.parametrize(
    "line",
    [
        "All is well.",
        "What is wrong:",
        "SAT in 0.04 s",
        "ERROR in 1.00 s",
        "Warning: the account may run 16 vCPU at once",
        f"  {COMMAND}",
        "# Stop the machines",
        "send_message test.cnf --workers 2                        1.9  ok",
        "  leader  10.0.0.1         BUSY   SILENT for 2 min",
    ],
)
def test_colours_change_no_word(line: str) -> None:
    assert painted(line) != line
    assert re.sub(r"\x1b\[\d*m", "", painted(line)) == line


@pytest.mark.parametrize("line", ["That may pass by itself.", "The SAT problem", "0:01  Look: NONE of them", ""])
def test_prose_has_no_colours(line: str) -> None:
    assert painted(line) == line
