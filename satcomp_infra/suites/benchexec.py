"""Runs in the format of BenchExec's results (version 3.0 of its DTD), for table-generator and what else reads it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from ..jobs import Verdict
from .scores import compare

if TYPE_CHECKING:
    from .records import Finished, Row

_DOCTYPE = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    "<!DOCTYPE result PUBLIC '+//IDN sosy-lab.org//DTD BenchExec result 3.0//EN' "
    "'https://www.sosy-lab.org/benchexec/result-3.0.dtd'>\n"
)
_STATUS = {
    Verdict.SAT: "sat",
    Verdict.UNSAT: "unsat",
    Verdict.UNKNOWN: "unknown",
    Verdict.TIMEOUT: "TIMEOUT",
    Verdict.ERROR: "ERROR",
}
_PROPERTY = "satisfiable"


def write(runs: Sequence[Finished], directory: Path) -> list[Path]:
    """Write a file for each run; returns them."""
    comparison = compare(runs)
    # What contradicts another run is wrong only where it is known which of them is.
    wrong = {(found.problem, place) for found in comparison.contradictions for place in found.wrong}
    paths = []
    for place, (run, name) in enumerate(zip(runs, _file_names(comparison.names), strict=True)):
        path = directory / f"{name}.results.xml"
        bad = {problem for problem, number in wrong if number == place}
        path.write_text(_DOCTYPE + Xml.tostring(_result(run, bad), encoding="unicode") + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _file_names(names: Sequence[str]) -> list[str]:
    """The runs' names, made fit for files and told apart, also where a file system takes `A` and `a` for the same."""
    used: set[str] = set()
    fit = []
    for name in names:
        plain = re.sub(r"[^\w-]+", "-", name).strip("-")[:100] or "run"
        candidates = (plain if number == 1 else f"{plain}-{number}" for number in itertools.count(1))
        fit.append(next(candidate for candidate in candidates if candidate.casefold() not in used))
        used.add(fit[-1].casefold())
    return fit


def _result(run: Finished, wrong: set[str]) -> Xml.Element:
    settings = run.settings
    began = datetime.fromtimestamp(settings.created if settings else 0, UTC)
    timeout = max((row.timeout for row in run.rows), default=0)
    root = Xml.Element(
        "result",
        {
            "benchmarkname": _clean(run.name),
            "date": f"{began:%Y-%m-%d %H:%M:%S} UTC",
            "starttime": began.isoformat(),
            "tool": _clean((settings.solver_name if settings else "") or run.name),
            "version": "",
            "options": _clean(" ".join(settings.solver_options)) if settings else "",
            "timelimit": f"{timeout}s",
            "generator": "satcomp-infrastructure",
        },
    )
    columns = Xml.SubElement(root, "columns")
    for title in ("status", "cputime", "walltime", "memory", "host"):
        Xml.SubElement(columns, "column", {"title": title})
    for row in run.rows:
        if row.verdict:
            root.append(_run(row, wrong=row.problem in wrong))
    return root


def _run(row: Row, *, wrong: bool) -> Xml.Element:
    attributes = {"name": _clean(row.problem), "files": f"[{_clean(row.location)}]", "properties": _PROPERTY}
    if row.expected:
        attributes["expectedVerdict"] = "true" if row.expected == Verdict.SAT else "false"
    run = Xml.Element("run", attributes)
    for title, value in _values(row, wrong=wrong):
        hidden = {"hidden": "true"} if title == "category" else {}
        Xml.SubElement(run, "column", {"title": title, "value": value, **hidden})
    return run


def _values(row: Row, *, wrong: bool) -> Iterator[tuple[str, str]]:
    status = _STATUS[Verdict(row.verdict)]
    yield "status", f"{status} ({_clean(row.reason)[:200]})" if status == "ERROR" and row.reason else status
    yield "category", _category(row, wrong=wrong)
    yield "cputime", f"{row.cpu}s"
    yield "walltime", f"{row.wall}s"
    if row.memory:
        yield "memory", f"{row.memory * 2**20}B"
    if row.node:
        yield "host", _clean(row.node)


def _category(row: Row, *, wrong: bool) -> str:
    """As BenchExec has it; an answer that nothing confirms is `missing`: no right answer is known."""
    if wrong:
        return "wrong"
    if row.answered:
        known = row.expected or row.model == "right"
        return "correct" if known else "missing"
    return "unknown" if row.verdict == Verdict.UNKNOWN else "error"


def _clean(text: str) -> str:
    """A text without what XML can't hold."""
    return re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
