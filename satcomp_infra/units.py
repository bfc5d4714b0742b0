"""Times, sizes and numbers as they are said."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def minutes(seconds: float) -> str:
    """A time span as clocks show it: `m:ss`, or `h:mm:ss` from an hour on."""
    whole = int(seconds)
    return (
        f"{whole // 60}:{whole % 60:02}" if whole < 3600 else f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    )


def duration(seconds: float) -> str:
    """A time span in words, for example `1.2 s`, `48 s`, `3 min 5 s`, `15 min`, `3 h 5 min` or `2 d 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _in_two(whole, (60, "min"), (1, "s"))
    if whole < 48 * 3600:
        return _in_two(whole, (3600, "h"), (60, "min"))
    return _in_two(whole, (86400, "d"), (3600, "h"))


def _in_two(seconds: int, large: tuple[int, str], small: tuple[int, str]) -> str:
    """A time in a large unit and, where it isn't whole, what is left in a small one."""
    rest = seconds % large[0] // small[0]
    return f"{seconds // large[0]} {large[1]}" + (f" {rest} {small[1]}" if rest else "")


def moment(time: datetime) -> str:
    """A point in time as this machine's clock has it, to the minute: `2026-11-25 19:52`."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def dollars(amount: float) -> str:
    """An amount of money, as `0.78 USD`."""
    return f"{amount:.2f} USD"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def megabytes(size: int) -> str:
    """A size in bytes as `12.3 MB`, of a million bytes each, as Docker has it."""
    return f"{size / 1e6:.1f} MB"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, for example `1 node` or `3 nodes`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
