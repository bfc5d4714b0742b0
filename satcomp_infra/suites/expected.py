"""What is known to be right of a suite's problems, as a CSV file says it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError
from ..jobs import Verdict
from ..node.decompress import split_name
from .problems import FORMATS

_NAMES = ("problem", "filename", "local", "instance", "name", "benchmark", "hash")
_VERDICTS = ("verdict", "expected", "result", "status")
_WORDS = {
    **dict.fromkeys(("sat", "satisfiable", "10", "true"), Verdict.SAT),
    **dict.fromkeys(("unsat", "unsatisfiable", "20", "false"), Verdict.UNSAT),
    **dict.fromkeys(("", "unknown", "empty", "none", "timeout", "?", "-"), None),
}


def expected_verdicts(path: Path, names: Iterable[str]) -> dict[str, str]:
    """What a file says is right of problems, by their names: SAT or UNSAT; those it doesn't know are left out.

    Its columns are `problem` and `verdict`, or what GBD calls them (`hash`, `local` or `filename`; `result`). A problem
    is known by its name, its file's name, or the hash that this begins with, with or without suffixes.
    Raises UsageError.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            table = csv.DictReader(file)
            titles = {title.strip().lower(): title for title in table.fieldnames or () if title}
            of_name = [titles[title] for title in _NAMES if title in titles]
            of_verdict = next((titles[title] for title in _VERDICTS if title in titles), None)
            if not of_name or of_verdict is None:
                raise UsageError(
                    f"{path} has no columns for problems and verdicts.",
                    "Its first line should be: problem,verdict (or GBD's: hash,result).",
                )
            said: dict[str, str] = {}
            for values in table:
                verdict = _verdict(values.get(of_verdict) or "", path, table.line_num)
                if verdict:
                    for column in of_name:
                        said.update(dict.fromkeys(_keys(values.get(column) or ""), verdict))
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from error
    found = {}
    for name in names:
        known = next((said[key] for key in _keys(name) if key in said), None)
        if known:
            found[name] = known
    return found


def _verdict(word: str, path: Path, line: int) -> str | None:
    try:
        return _WORDS[word.strip().lower()]
    except KeyError:
        raise UsageError(f"{path}, line {line}: '{word}' is no verdict.", "Write SAT, UNSAT or UNKNOWN.") from None


def _keys(name: str) -> list[str]:
    """What a problem may be known by, the surest first."""
    base = name.strip().rpartition("/")[2]
    if not base:
        return []
    plain = split_name(base)[0]
    stem = plain[: -len(Path(plain).suffix)] if Path(plain).suffix.lower() in FORMATS else plain
    digest = re.match(r"[0-9a-f]{32}(?![0-9a-f])", base)
    return list(dict.fromkeys([name.strip(), base, plain, stem, *([digest[0]] if digest else [])]))
