"""Reading pages: the tables in them, and whether these describe what there is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True)
class Row:
    """A row of a table: its cells, by the names of the columns."""

    cells: dict[str, str]

    @property
    def names(self) -> list[str]:
        """What stands in backticks in the first cell."""
        return re.findall(r"`([^`]+)`", next(iter(self.cells.values())))


def section(page: Path, heading: str) -> str:
    """What stands below a heading, down to the next one of any level."""
    _, found, rest = f"\n{page.read_text()}".partition(f"\n{heading}\n")
    assert found, f"{page.name} has no heading '{heading}'"
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def tables(page: Path, heading: str) -> list[list[Row]]:
    """The tables below a heading."""
    found: list[list[Row]] = []
    for block in re.findall(r"(?:^\|.*\n)+", section(page, heading), re.MULTILINE):
        titles, _, *lines = (
            [cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()
        )
        found.append([Row(dict(zip(titles, line, strict=True))) for line in lines])
    return found


def table(page: Path, heading: str) -> list[Row]:
    """The only table below a heading."""
    (found,) = tables(page, heading)
    return found


def named(rows: Iterable[Row]) -> list[str]:
    """All names in the first column."""
    return [name for row in rows for name in row.names]


def flat(value: dict[str, Any], opaque: Iterable[str] = (), prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of a JSON object and of those within it, as the tables name them; but for those of what is opaque."""
    for key, inner in value.items():
        name = f"{prefix}{key}"
        yield name, inner
        if name not in opaque:
            for each, path in [(inner, ".")] if isinstance(inner, dict) else [(e, "[].") for e in _objects(inner)]:
                yield from flat(each, opaque, f"{name}{path}")


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def is_of(value: Any, kind: str) -> bool:
    """Whether a value is of a kind, as the tables call it."""
    if kind.startswith("list of "):
        inner = kind.removeprefix("list of ").removesuffix("s")
        return isinstance(value, list) and all(is_of(each, inner) for each in value)
    if " or " in kind:
        return any(is_of(value, each) for each in kind.split(" or "))
    return isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def check(rows: list[Row], *samples: dict[str, Any], opaque: Iterable[str] = ()) -> None:
    """The table has the samples' fields and no others, in their order, each of its type. No list may be empty."""
    found = [pair for sample in samples for pair in flat(sample, opaque)]
    assert list(dict.fromkeys(name for name, _ in found)) == named(rows)
    kinds = {row.names[0]: row.cells["type"] for row in rows}
    for name, value in found:
        assert is_of(value, kinds[name]), f"{name} is {value!r}, not {kinds[name]}"
