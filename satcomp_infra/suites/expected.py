"""What is known to be right of a suite's problems, as CSV files say it.

A wrong expectation would make a right answer look like one that disqualifies. So what a file says is taken only where
it can mean one problem alone, and a file that contradicts itself is refused.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UsageError
from ..jobs import Verdict
from ..node.decompress import split_name
from ..units import count
from .problems import FORMATS, Source
from .sample import EXPECTED

_HASH = "hash"
_NAMES = ("problem", "filename", "local", "instance", "name", "benchmark", _HASH)
_VERDICTS = ("verdict", "expected", "result", "status")
_WORDS = {
    **dict.fromkeys(("sat", "satisfiable", "10", "true"), Verdict.SAT),
    **dict.fromkeys(("unsat", "unsatisfiable", "20", "false"), Verdict.UNSAT),
    **dict.fromkeys(("", "unknown", "empty", "none", "timeout", "?", "-"), None),
}


@dataclass
class Answers:
    """What is known to be right: SAT or UNSAT, by the problems' names; and the files that said so."""

    verdicts: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def said(self, names: Sequence[str]) -> str:
        """How many of these problems they know, in words; empty where there are no files."""
        known = f"the right answer to {sum(name in self.verdicts for name in names)} of {count(len(names), 'problem')}."
        if len(self.files) > 1:
            return f"{len(self.files)} files {EXPECTED} have {known}"
        return f"{self.files[0]} has {known}" if self.files else ""


def answers(sources: Sequence[Source], named: Path | None) -> Answers:
    """What is known of problems: by the file that is named, else by the expected.csv of their own directories.

    Such a file speaks for the problems in and below its directory, by their names there. Raises UsageError.
    """
    if named:
        return Answers(expected_verdicts(named, [source.name for source in sources]), [named])
    found, by_whom = Answers(), dict[str, Path]()
    for path, name_of in _beside(sources).items():
        found.files.append(path)
        for name, verdict in expected_verdicts(path, name_of).items():
            unique = name_of[name]
            if found.verdicts.setdefault(unique, verdict) != verdict:
                raise UsageError(
                    f"{path} says {verdict} of '{unique}', and {by_whom[unique]} {found.verdicts[unique]}.",
                    "Correct the one that is wrong.",
                )
            by_whom[unique] = path
    return found


def _beside(sources: Sequence[Source]) -> dict[Path, dict[str, str]]:
    """The files expected.csv beside and above the problems, up to the directories that were named.

    Of each: the problems that it speaks for, their names in its directory with those in the suite.
    """
    speaks_for: dict[Path, dict[str, str]] = {}
    for source in sources:
        if source.folder is None:
            continue
        name = Path(source.short)
        for inner in reversed(name.parents):
            names = speaks_for.setdefault(source.folder / inner / EXPECTED, {})
            names[str(name.relative_to(inner))] = source.name
    return {path: names for path, names in speaks_for.items() if path.is_file()}


def expected_verdicts(path: Path, names: Iterable[str]) -> dict[str, str]:
    """What a file says is right of problems, by their names: SAT or UNSAT; those it doesn't know are left out.

    Its columns are `problem` and `verdict`, or what GBD calls them (`hash`, `local` or `filename`; `result`). A problem
    is known by the hash that its file's name begins with, or by its name; else by its file's name, with or without
    suffixes, where no other row and no other problem has the same. Raises UsageError.
    """
    rows = _Rows()
    for line, columns, verdict in _read(path):
        rows.add(path, line, columns, verdict)
    names = list(names)
    owners = Counter(key for name in names for key in set(_loose(name)))
    found = {}
    for name in names:
        verdict = rows.verdict_of(name, [key for key in _loose(name) if owners[key] == 1])
        if verdict:
            found[name] = verdict
    return found


class _Rows:
    """The rows of a file. Each speaks of one problem, which its hash or else its first name tells from all others."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str | None, int]] = {}
        self._exact: dict[str, set[str]] = {}
        self._loose: dict[str, set[str]] = {}

    def add(self, path: Path, line: int, columns: dict[str, str], verdict: str | None) -> None:
        who = columns.get(_HASH) or next(iter(columns.values()), "")
        if not who:
            return
        earlier, earlier_line = self._said.get(who, (None, 0))
        if earlier and verdict and earlier != verdict:
            raise UsageError(
                f"{path} says {earlier} of '{who}' in line {earlier_line}, and {verdict} in line {line}.",
                "Correct the one that is wrong.",
            )
        if verdict or who not in self._said:
            self._said[who] = verdict, line
        for value in columns.values():
            base = _base(value)
            for key in {value, *_digest(base)}:
                self._exact.setdefault(key, set()).add(who)
            for key in {base, split_name(base)[0]}:
                self._loose.setdefault(key, set()).add(who)

    def verdict_of(self, name: str, loose: Sequence[str]) -> str | None:
        """What is said of a problem: by its hash, its name, or else what it alone has of `loose`."""
        for key in (*_digest(_base(name)), name):
            if key in self._exact:
                said = {self._said[who][0] for who in self._exact[key]}
                return said.pop() if len(said) == 1 else None
        for key in loose:
            who = self._loose.get(key, set())
            if len(who) == 1:
                return self._said[next(iter(who))][0]
        return None


def _read(path: Path) -> Iterator[tuple[int, dict[str, str], str | None]]:
    """Of each row: the line, what stands in the columns that name the problem, and the verdict. Raises UsageError."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            table = csv.DictReader(file)
            titles = {title.strip().lower(): title for title in table.fieldnames or () if title}
            of_name = [title for title in _NAMES if title in titles]
            of_verdict = next((titles[title] for title in _VERDICTS if title in titles), None)
            if not of_name or of_verdict is None:
                raise UsageError(
                    f"{path} has no columns for problems and verdicts.",
                    "Its first line should be: problem,verdict (or GBD's: hash,result).",
                )
            for values in table:
                verdict = _verdict(values.get(of_verdict) or "", path, table.line_num)
                columns = {title: (values.get(titles[title]) or "").strip() for title in of_name}
                yield table.line_num, {title: value for title, value in columns.items() if _base(value)}, verdict
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from error


def _verdict(word: str, path: Path, line: int) -> str | None:
    try:
        return _WORDS[word.strip().lower()]
    except KeyError:
        raise UsageError(f"{path}, line {line}: '{word}' is no verdict.", "Write SAT, UNSAT or UNKNOWN.") from None


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _digest(base: str) -> list[str]:
    """The hash that a file's name begins with, if it does."""
    digest = re.match(r"[0-9a-f]{32}(?![0-9a-f])", base)
    return [digest[0]] if digest else []


def _loose(name: str) -> list[str]:
    """What a problem may be called in a file that doesn't know its folder or its suffixes, the surest first.

    A row that has the suffix of a format means that format: so a row's names are not cut as short as these.
    """
    base = _base(name)
    plain = split_name(base)[0]
    stem = plain[: -len(Path(plain).suffix)] if Path(plain).suffix.lower() in FORMATS else plain
    return list(dict.fromkeys([base, plain, stem]))
