"""What nodes print: a line for each event, and what their solvers print, within bounds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from satcomp_infra.jobs import Job, Verdict
from satcomp_infra.node import showing
from satcomp_infra.node.log import JobLog, event_of
from satcomp_infra.node.showing import Feed, Showing

from .cloud import Cloud
from .nodes import Metadata, Node

MakeNode = Callable[..., Node]


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Shows pieces of an output; returns what the log has of it."""

    def show(*pieces: bytes, lines: int = 1000, size: int = 1_000_000) -> list[str]:
        caplog.clear()
        with caplog.at_level("INFO"):
            bounds = Showing(JobLog("id"), lines, size)
            feed = Feed(bounds, "stdout")
            for piece in pieces:
                feed.take(piece)
            feed.end()
            bounds.end()
        return caplog.messages

    return show


NO_MORE = "no more of what the solver prints is shown here: it is stored with the result"


def test_lines_are_shown_whole_however_they_come(shown: Callable[..., list[str]]) -> None:
    text = b"c one\n\nc two\r\nc three"
    assert shown(text) == shown(*(text[i : i + 1] for i in range(len(text)))) == ["c one", "c two", "c three"]


def test_a_model_is_counted_and_not_shown(shown: Callable[..., list[str]]) -> None:
    text = b"s SATISFIABLE\nv 1 2\nv -3\nc v 4\nv\t5\nv 0"
    expected = ["s SATISFIABLE", "c v 4", "the model, 4 'v' lines, are stored with the result"]
    assert shown(text) == shown(*(text[i : i + 3] for i in range(0, len(text), 3))) == expected
    assert shown(b"v 0\n") == ["the model, one 'v' line, is stored with the result"]


def test_what_is_too_much_is_not_shown_and_that_is_said_once(shown: Callable[..., list[str]]) -> None:
    assert shown(b"a\nb\nc\nd\n", b"e\n", lines=2) == ["a", "b", NO_MORE]
    assert shown(b"aaaa\nbbbb\n", b"v 0\ncccc\n", size=8) == ["aaaa", "bbbb", NO_MORE]
    flood = [b"v 1\n" * 1_000_000] * (showing.MOST_LOOKED_AT // 4_000_000 + 2)
    assert shown(*flood) == [NO_MORE]


def test_each_period_has_bounds_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    with caplog.at_level("INFO"):
        bounds = Showing(JobLog("id"), 2, period=60, models=False, closing="enough", clock=lambda: now)
        out, err = Feed(bounds, "stdout"), Feed(bounds, "stderr")
        out.take(b"v 1\na\nb\nc\nthis is")
        err.take(b"nor this\n")
        now = 59.0
        out.take(b" not")
        now = 60.0
        out.take(b" shown\nd\n")
        err.take(b"e\nf")
        now = 120.0
        err.take(b"g\n")
        out.take(b"x" * showing.MOST_LOOKED_AT)
        now = 180.0
        out.take(b"\nh\n")
    assert caplog.messages == ["v 1", "a", "enough", "d", "e", "fg", "enough", "h"]


def test_a_long_line_is_cut(shown: Callable[..., list[str]]) -> None:
    (whole,) = shown(b"x" * showing.MOST_OF_A_LINE + b"\n")
    assert whole == "x" * showing.MOST_OF_A_LINE
    for pieces in ([b"x" * 1_000_000 + b"\n"], [b"x" * 1500] * 1000):
        (cut,) = shown(*pieces)
        assert cut == "x" * showing.MOST_OF_A_LINE + " [...]"


def test_what_would_upset_a_terminal_is_left_out(shown: Callable[..., list[str]]) -> None:
    assert shown(b"\x1b[31mred\x07 \xff\x1b[0m\n") == [" red  \ufffd"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_solver_is_seen_at_work(make_node: MakeNode, metadata: Metadata, cloud: Cloud, form: str) -> None:
    leader = make_node("leader")
    leader.program("solver", "echo working; echo careful >&2; echo 'v 1 0'; sleep 60")
    leader.start(metadata, SATCOMP_LOG_FORMAT=form)
    job_id = cloud.send(Job(cloud.upload("a.cnf")))
    for stream, text in (("stdout", "working"), ("stderr", "careful")):
        as_json = f'"job": "{job_id}", "stream": "{stream}", "message": "{text}"}}'
        leader.await_log(as_json if form == "json" else f" leader job={job_id} {stream}: {text}\n")
    leader.signal()
    assert leader.wait() == 0
    lines = leader.log.splitlines()
    events = [event for line in lines if (event := event_of(line, job_id))]
    assert events[0].startswith("received: ")
    assert events[1:] == [
        "starts its solver",
        *([] if form == "json" else [e for e in events if e.startswith("std")]),
        "the model, one 'v' line, is stored with the result",
        "given back: the node stops",
    ]
    if form == "json":
        assert [{"time", "level", "role", "message"} <= set(json.loads(line)) for line in lines] == [True] * len(lines)


def test_a_form_that_does_not_exist_is_named(make_node: MakeNode, metadata: Metadata) -> None:
    leader = make_node("leader")
    leader.start(metadata, SATCOMP_LOG_FORMAT="xml")
    assert leader.wait() == 1
    assert "SATCOMP_LOG_FORMAT is 'xml': set it to 'text' or 'json', or leave it out." in leader.log


@pytest.mark.slow
def test_a_flood_holds_up_neither_solver_nor_node_even_if_nobody_reads_the_log(
    make_node: MakeNode, metadata: Metadata, cloud: Cloud, tmp_path: Path
) -> None:
    """The node's stdout is a pipe that is full: as where CloudWatch can't be reached."""
    leader = make_node("leader")
    leader.program(
        "solver", "yes 'c a line of sixty-four bytes, as solvers print them all the time' | head -c 8000000; exit 10"
    )
    os.mkfifo(leader.output)
    reader = os.open(leader.output, os.O_RDONLY | os.O_NONBLOCK)
    leader.start(metadata)
    jobs = [cloud.send(Job(cloud.upload("a.cnf"))) for _ in range(2)]
    results = [cloud.result(job_id) for job_id in jobs]
    assert [result.verdict for result in results] == [Verdict.SAT] * 2
    assert len(cloud.stored(jobs[-1], "stdout") or b"") == 8_000_000
    leader.signal(signal.SIGTERM)
    assert leader.wait() == 0
    os.close(reader)
    leader.output.unlink()


def test_lines_that_nobody_reads_are_left_out_and_that_is_said() -> None:
    script = """
import os, sys
from satcomp_infra.node import log
log.set_up("leader")
log._MOST_LINES = 10
log.LOG.info("x" * 100_000)
while log.LOG.handlers[0]._lines: pass
for number in range(30):
    log.LOG.info("%d", number)
print("ready", file=sys.stderr, flush=True)
sys.stdin.readline()
log.LOG.handlers[0].flush()
log.LOG.info("last")
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == "ready\n"
        first = process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        rest = [line.split(" ", 2)[2] for line in process.stdout.read().splitlines()]
    assert len(first) > 100_000
    assert rest == [
        *map(str, range(10)),
        "20 lines are left out here: they came faster than they could be written",
        "last",
    ]


def test_only_events_of_the_job_are_events() -> None:
    assert event_of("2026-01-01T00:00:00.000Z leader job=a received: x", "a") == "received: x"
    assert event_of("2026-01-01T00:00:00.000Z leader job=a stdout: job=a received: x", "a").startswith("stdout")
    assert event_of("2026-01-01T00:00:00.000Z leader job=b received: x", "a") == ""
    assert event_of('{"job": "a", "message": "received: x"}', "a") == "received: x"
    assert event_of('{"job": "a", "stream": "stdout", "message": "received: x"}', "a") == ""
    assert event_of("{", "a") == ""
