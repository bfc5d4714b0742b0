"""The way to a cluster's size, where AWS answers late or not at all: against a cluster that a test makes up."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError

from satcomp_infra import known_causes, starting
from satcomp_infra.fleet import Cluster, Fleet, Service
from satcomp_infra.known_causes import Finding
from satcomp_infra.progress import Console
from satcomp_infra.starting import Size, Start, StartError

from .typing_commands import Clock, plain, run

SINCE = datetime(2026, 11, 26, tzinfo=UTC)
ZONES = [("us-east-1a", "subnet-a"), ("us-east-1b", "subnet-b"), ("us-east-1c", "subnet-c")]
SIZE = Size(1, 2)


def no_capacity(where: str) -> str:
    return f"We currently do not have sufficient m6i.4xlarge capacity {where}. Our system will be working on ..."


def in_zone(zone: str) -> str:
    return no_capacity(f"in the Availability Zone you requested ({zone})")


class MadeUp(Cluster):
    """A cluster to which at each look the next of these refusals come, and then its machines."""

    def __init__(self, *refusals: list[str], zones: tuple[str, ...] = (), running: int = 0) -> None:
        self.moved: list[str] = []
        self._to_come = list(refusals)
        self._refusals: list[tuple[str, str]] = []
        self._zones = zones
        self._wanted = running
        self._there = running

    def look(self) -> Fleet:
        if self._to_come:
            for message in self._to_come.pop(0):
                self._refusals.insert(0, (str(len(self._refusals)), message))
        else:
            self._there = self._wanted
        workers = max(self._there - 1, 0)
        services = Service(min(self._there, 1), 0, min(self._there, 1)), Service(workers, 0, workers)
        return Fleet(self._wanted, self._there, self._there, *services, self._zones)

    def refusals(self) -> tuple[datetime, list[tuple[str, str]]]:
        return SINCE, list(self._refusals)

    def resize(self, leaders: int, workers: int, *, keep_machines: bool = False) -> None:
        self._wanted = leaders + workers

    def move(self, subnet: str, *, start_again_with: int = 0) -> None:
        self.moved.append(subnet)


def nothing_is_wrong(_: datetime) -> list[Finding]:
    return []


def all_are_heard_of() -> tuple[int, int]:
    return SIZE.leaders, SIZE.workers


def start(
    cluster: MadeUp,
    diagnose: Callable[[datetime], list[Finding]] = nothing_is_wrong,
    heard: Callable[[], tuple[int, int]] = all_are_heard_of,
    clock: Clock | None = None,
) -> str:
    """Bring the cluster to its size; returns what was told."""
    clock, told = clock or Clock(), io.StringIO()
    console = Console(io.StringIO(), told, clock=lambda: clock.now, sleep=clock.sleep)
    way = Start(cluster, cluster.look(), SIZE, list(ZONES), diagnose, heard, lambda _: None)
    way.begin()
    with console.waiting("Starting") as wait:
        way.follow(wait, 60, lambda hours: f"{hours:.2f}")
    return told.getvalue()


def test_a_launch_that_is_refused_after_the_move_to_the_next_zone_doesn_t_count_there() -> None:
    cluster = MadeUp([], [in_zone("us-east-1a")], [in_zone("us-east-1a")], [])
    start(cluster)
    assert cluster.moved == ["subnet-a", "subnet-b"]


def test_refusals_of_all_zones_end_the_start() -> None:
    cluster = MadeUp([], *([in_zone(zone)] for zone, _ in ZONES))
    with pytest.raises(StartError, match="to give in us-east-1a, us-east-1b and us-east-1c at"):
        start(cluster)


def test_a_refusal_that_names_no_zone_is_of_the_zone_where_machines_are_started() -> None:
    cluster = MadeUp([], [no_capacity("in zones with support for 'gp3' volumes")], [])
    start(cluster)
    assert cluster.moved == ["subnet-a", "subnet-b"]


def test_a_cluster_in_several_zones_goes_on_while_one_has_machines() -> None:
    here = ("us-east-1b", "us-east-1c")
    start(MadeUp([], [in_zone("us-east-1c")], zones=here, running=2))
    cluster = MadeUp([], [in_zone("us-east-1c")], [in_zone("us-east-1b")], zones=here, running=2)
    with pytest.raises(StartError, match="to give in us-east-1b and us-east-1c at"):
        start(cluster)
    assert cluster.moved == []


def test_a_diagnosis_that_may_not_ask_is_told_of_once_and_the_start_goes_on() -> None:
    asked = []

    def refused(since: datetime) -> list[Finding]:
        asked.append(since)
        error = {"Code": "AccessDeniedException", "Message": "No."}
        raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}, "ListTasks")  # type: ignore

    told = start(MadeUp(*([] for _ in range(12))), refused)
    assert len(asked) > 1
    assert plain(told).count("Your AWS user may not call ListTasks: No. ") == 1


@pytest.mark.usefixtures("nodes_settle")
class TestSettling:
    def test_nodes_that_are_heard_of_are_complete_at_once(self) -> None:
        clock = Clock()
        start(MadeUp(), clock=clock)
        assert clock.now == 0

    def test_nodes_are_waited_for_until_they_are_heard_of(self) -> None:
        heard, clock = iter([(0, 0), (1, 0), (1, 2)]), Clock()
        told = start(MadeUp(), heard=lambda: next(heard), clock=clock)
        assert next(heard, None) is None
        assert "leader 1/1, workers 2/2; heard of 0 of 3 nodes" in plain(told)
        assert clock.now < starting.SETTLE_SECONDS

    def test_nodes_that_never_tell_have_to_run_for_a_while(self) -> None:
        clock = Clock()
        start(MadeUp(), heard=lambda: (1, 0), clock=clock)
        assert starting.SETTLE_SECONDS <= clock.now < 2 * starting.SETTLE_SECONDS

    def test_a_node_that_ends_again_and_again_is_not_complete_when_it_happens_to_run(self) -> None:
        """It is seen running at each look, and never heard of: what ECS tells of its end decides."""
        crashes = known_causes.START[-2]
        assert crashes.kind == "node-crashes"
        now = Clock()

        looks = []

        def diagnose(_: datetime) -> list[Finding]:
            looks.append(now.now)
            words = {"role": "worker", "ran": "1 s", "code": "1"}
            return [crashes.finding(fatal=now.now > 20, times="", **words)]

        with pytest.raises(StartError, match="The worker ended after 1 s with exit code 1"):
            start(MadeUp(), diagnose, heard=lambda: (1, 0), clock=now)
        assert now.now > 20
        assert all(later - look >= 3 for look, later in pairwise(looks))

    def test_what_is_wrong_otherwise_ends_no_start(self) -> None:
        waits = known_causes.TOO_FEW_WORKERS.finding(job="j", wanted="5 workers", workers=5, there=2)
        assert "5 workers" in plain(start(MadeUp(), lambda _: [waits], heard=lambda: (1, 0)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shutdown", "--leaders", "2"], "--leaders goes with --option setup"),
        (["shutdown", "--stop-after", "5m"], "--stop-after goes with --option setup"),
        (["shutdown", "--stop-after=never"], "--stop-after goes with --option setup"),
        (["shutdown", "--no-wait"], "--no-wait goes with --option setup"),
        (["shutdown", "--keep-on-failure"], "--keep-on-failure goes with --option setup"),
        (["setup", "--workers", "0", "--stop-after", "9999999999h"], "'9999999999h' is too long: 8760h, a year"),
        (["setup", "--workers", "0", "--stop-after", "59s"], "'59s' is too soon: machines need minutes to start"),
        (["setup", "--workers", "0", "--timeout", "9" * 400 + "s"], "is too long"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("instances", "--option", *words)
    assert ended.value.code == 2
    assert said in plain(capsys.readouterr().err)
