"""Waits: what may pass by itself is told and endured, anything else ends them."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from satcomp_infra.errors import SatcompError
from satcomp_infra.progress import Console, Wait
from satcomp_infra.units import duration


def error(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code, "Message": "So it is."}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "DescribeServices")  # type: ignore[arg-type]


class Watched:
    """A wait whose time passes only while it sleeps."""

    def __init__(self, *sights: int | Exception) -> None:
        self.now = 0.0
        self._sights = iter(sights)
        self.console = Console(io.StringIO(), io.StringIO(), clock=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _look(self) -> int:
        sight = next(self._sights)
        if isinstance(sight, Exception):
            raise sight
        return sight

    def looks(self, wait: Wait, timeout: float = 100.0) -> Iterator[int]:
        return wait.looks(self._look, timeout, lambda: SatcompError("Too late."))

    @property
    def told(self) -> str:
        assert isinstance(self.console.err, io.StringIO)
        return self.console.err.getvalue()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (error("ThrottlingException", 400), "AWS kept asking to slow down (DescribeServices: ThrottlingException)"),
        (error("ServiceUnavailable", 503), "AWS refused DescribeServices: So it is (ServiceUnavailable)."),
        (EndpointConnectionError(endpoint_url="https://aws"), "AWS can't be reached: Could not connect"),
    ],
)
def test_trouble_that_may_pass_is_told_once_and_endured(trouble: Exception, words: str) -> None:
    watched = Watched(1, trouble, trouble, 2, trouble, 3)
    with watched.console.waiting("Waiting") as wait:
        seen = []
        for sight in watched.looks(wait):
            seen.append(sight)
            if sight == 3:
                break
    assert seen == [1, 2, 3]
    told = " ".join(watched.told.split())
    assert told.count(words) == 2
    assert told.count(" Trying again.") == 2


@pytest.mark.parametrize("trouble", [error("ExpiredToken", 403), error("ValidationError", 400), ValueError("no")])
def test_anything_else_ends_the_wait(trouble: Exception) -> None:
    watched = Watched(1, trouble)
    with watched.console.waiting("Waiting") as wait, pytest.raises(type(trouble)):
        list(watched.looks(wait))


def test_a_wait_is_bounded_whatever_is_seen() -> None:
    gone = EndpointConnectionError(endpoint_url="https://aws")
    for sights in ([0] * 1000, [gone] * 1000):
        watched = Watched(*sights)
        with watched.console.waiting("Waiting") as wait, pytest.raises(SatcompError, match=r"Too late\."):
            list(watched.looks(wait, timeout=20.0))
        assert watched.now == pytest.approx(20.0)


def test_the_first_looks_come_quickly_and_none_is_far_from_the_next() -> None:
    watched = Watched(*[0] * 1000)
    times: list[float] = []
    with watched.console.waiting("Waiting") as wait, pytest.raises(SatcompError):
        times.extend(watched.now for _ in watched.looks(wait, timeout=60.0))
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[0] == pytest.approx(0.3)
    assert max(pauses) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.31, "0.3 s"), (9.96, "10 s"), (59.6, "1 min"), (185, "3 min 5 s"), (900, "15 min")]
)
def test_a_duration_is_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
