"""Runs made by hand, for tests of what is made of them."""

from __future__ import annotations

from typing import Any

from satcomp_infra.suites.records import Finished, Row

TIMEOUT = 100


def row(problem: str, verdict: str = "SAT", wall: float = 1.0, **more: Any) -> Row:
    model = more.pop("model", "right" if verdict == "SAT" else "")
    return Row(problem, verdict, wall=wall, timeout=more.pop("timeout", TIMEOUT), model=model, **more)


def run(name: str, *rows: Row) -> Finished:
    return Finished(name, rows)
