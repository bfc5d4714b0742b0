"""Starting and stopping machines, against a local cloud whose nodes only seem to run, while things go wrong."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from satcomp_infra import automatic_stop, cli
from satcomp_infra.commands import instances
from satcomp_infra.local import cloud
from satcomp_infra.local.cloud import LocalCloud
from satcomp_infra.local.faults import CallFault
from satcomp_infra.local.walkthrough import register_images
from satcomp_infra.progress import Console

from .typing_commands import PROJECT, Answer, answered
from .waiting import eventually

pytestmark = pytest.mark.slow
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


def typed(local: LocalCloud, command: str, *words: str, sleep: Callable[[float], None] = time.sleep) -> Answer:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in local.environment().items():
            patch.setenv(name, value)
        console = Console(io.StringIO(), io.StringIO(), sleep=sleep)
        return answered(cli.main(f"commands.{command}", list(words), console), console, words)


def setup(local: LocalCloud, *words: str) -> Answer:
    return typed(local, "instances", "--option", "setup", "--timeout", "20s", *words)


def shutdown(local: LocalCloud) -> Answer:
    return typed(local, "instances", "--option", "shutdown")


def zones_in_use(local: LocalCloud) -> set[str]:
    return {node.zone for node in local.nodes()}


def machines(local: LocalCloud) -> int:
    states = {"Name": "instance-state-name", "Values": ["pending", "running"]}
    found = local.client("ec2").describe_instances(Filters=[states])["Reservations"]
    return sum(len(reservation["Instances"]) for reservation in found)


def automatic_stops(local: LocalCloud) -> list[str]:
    actions = local.client("autoscaling").describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    return [action["ScheduledActionName"] for action in actions]


def stop_time(local: LocalCloud) -> datetime:
    """When the machines will stop by themselves."""
    [action] = local.client("autoscaling").describe_scheduled_actions()["ScheduledUpdateGroupActions"]
    return datetime.fromisoformat(str(action["StartTime"]))


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCloud]:
    with cloud.start(stack_delay=0.1, boot_delay=0.1, shutdown_delay=0.1, zones=ZONES, simulate_nodes=True) as local:
        answer = typed(local, "create", "--project", PROJECT, "--solver-type", "cloud")
        assert answer.code == 0, answer.err
        register_images(local)
        yield local


@pytest.fixture
def stops_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines of the local cloud are there at once, and may stop soon."""
    monkeypatch.setattr(instances, "SHORTEST_STOP", 1.0)


@pytest.fixture
def local(running: LocalCloud) -> Iterator[LocalCloud]:
    yield running
    running.set_faults(
        missing_images=None,
        zones_without_capacity=None,
        zones_without_type=None,
        vcpu_quota=None,
        calls=None,
        slow_boot=None,
    )
    assert shutdown(running).code == 0


def test_the_cost_and_the_automatic_stop_are_told_before_anything_costs_money(local: LocalCloud) -> None:
    answer = setup(local, "--workers", "2")
    assert answer.code == 0, answer.err
    assert re.match(
        r"Starting the leader and 2 workers:\n"
        r"  machines        3 of type m6i.4xlarge: 16 vCPU, 64 GiB each\n"
        r"  cost            2.35 USD per hour, 18.8\d USD until the automatic stop\n"
        r"  automatic stop  \d{4}-\d\d-\d\d \d\d:\d\d, in 8 h \(set by --stop-after\)\n",
        answer.err,
    )
    assert all(len(line) <= 80 for line in answer.err.splitlines())
    assert automatic_stops(local) == ["satcomp-automatic-stop"]
    assert shutdown(local).out == "No machine is running: 0.00 USD per hour from now on.\n"
    assert automatic_stops(local) == []


@pytest.mark.usefixtures("stops_soon")
def test_machines_stop_by_themselves_when_their_time_is_over(local: LocalCloud) -> None:
    assert setup(local, "--workers", "1", "--stop-after", "3s").code == 0
    deadline = time.monotonic() + 10
    while machines(local) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert machines(local) == 0


def test_a_setup_that_fails_after_the_automatic_stop_leaves_no_machine_running(local: LocalCloud) -> None:
    assert setup(local, "--workers", "2").code == 0
    scaling = local.client("autoscaling")
    [group] = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    now = datetime.now(UTC)
    scaling.put_scheduled_update_group_action(
        AutoScalingGroupName=group["AutoScalingGroupName"],
        ScheduledActionName=automatic_stop.NAME,
        StartTime=now,
        DesiredCapacity=0,
    )
    eventually(lambda: not machines(local) and not local.nodes())
    local.set_faults(zones_without_capacity=list(ZONES))
    answer = setup(local, "--workers", "4", "--stop-after", "never")
    assert answer.code == 1
    assert "No machine is running." in answer.words
    assert machines(local) == 0


@pytest.mark.usefixtures("stops_soon")
def test_setup_again_moves_the_automatic_stop(local: LocalCloud) -> None:
    setup(local, "--workers", "0", "--stop-after", "3s")
    setup(local, "--workers", "0", "--stop-after", "8h")
    time.sleep(3)
    assert machines(local) == 1


def test_without_an_automatic_stop_it_says_so_loudly(local: LocalCloud) -> None:
    answer = setup(local, "--workers", "0", "--stop-after", "never")
    assert "\n  automatic stop  NONE (--stop-after never). Stop them yourself:\n" in answer.err
    assert "\n                    ./update_instances --option shutdown\n" in answer.err
    assert "\n  cost            0.78 USD per hour, 18.82 USD a day\n" in answer.err
    assert automatic_stops(local) == []


def test_where_a_zone_has_no_capacity_the_next_one_is_taken(local: LocalCloud) -> None:
    local.set_faults(zones_without_capacity=["us-east-1a"], zones_without_type=["us-east-1b"])
    answer = setup(local, "--workers", "2")
    assert answer.code == 0, answer.err
    assert "no more machines of this type in zone us-east-1a: trying us-east-1b" in answer.words
    assert "in zone us-east-1b: trying us-east-1c" in answer.words
    assert zones_in_use(local) == {"us-east-1c"}


def test_where_no_zone_has_capacity_nothing_is_left_running(local: LocalCloud) -> None:
    local.set_faults(zones_without_capacity=list(ZONES))
    answer = setup(local, "--workers", "2")
    assert answer.code == 1
    assert "AWS has no machines of this type to give in us-east-1a, us-east-1b and us-east-1c" in answer.words
    assert "No machine is running." in answer.words
    assert machines(local) == 0
    assert automatic_stops(local) == []


def test_more_workers_than_the_zone_has_leaves_the_cluster_as_it_was(local: LocalCloud) -> None:
    local.set_faults(zones_without_capacity=["us-east-1a"])
    assert setup(local, "--workers", "1").code == 0
    assert zones_in_use(local) == {"us-east-1b"}
    local.set_faults(zones_without_capacity=["us-east-1b"])
    answer = setup(local, "--workers", "3")
    assert answer.code == 1
    assert "AWS has no machines of this type to give in us-east-1b at the moment." in answer.words
    assert "The cluster is back at the leader and 1 worker, as before." in answer.words
    assert len(local.nodes()) == machines(local) == 2


def test_going_back_leaves_the_automatic_stop_as_it_was(local: LocalCloud) -> None:
    assert setup(local, "--workers", "0", "--stop-after", "2h").code == 0
    before = stop_time(local)
    local.set_faults(zones_without_capacity=list(ZONES))
    assert setup(local, "--workers", "1", "--stop-after", "never").code == 1
    assert abs(stop_time(local) - before) < timedelta(seconds=5)
    assert setup(local, "--workers", "0", "--stop-after", "never").code == 0
    assert setup(local, "--workers", "1", "--stop-after", "8h").code == 1
    assert automatic_stops(local) == []
    assert machines(local) == 1


def test_going_back_disturbs_no_node_that_was_there_before(local: LocalCloud) -> None:
    assert setup(local, "--workers", "1").code == 0
    before = [(node.task, node.instance) for node in local.nodes()]
    local.set_faults(slow_boot=60)
    answer = setup(local, "--workers", "3", "--timeout", "1s")
    assert answer.code == 1
    assert "Starting the leader and 3 workers, where 2 machines run:" in answer.err
    assert "After 1.0 s the cluster isn't complete: machines: 4 wanted, 2 booting, 2 joined;" in answer.words
    assert machines(local) == 2
    assert [(node.task, node.instance) for node in local.nodes()] == before


def test_an_error_of_aws_that_ends_the_wait_says_what_runs_and_costs(local: LocalCloud) -> None:
    local.set_faults(slow_boot=60)

    def expire(_: float) -> None:
        local.set_faults(calls=[CallFault("*", failure="expired-token")])

    answer = typed(local, "instances", "--option", "setup", "--workers", "1", sleep=expire)
    assert answer.code == 1
    assert "Your AWS credentials have expired. Log in again" in answer.words
    assert answer.err.endswith(
        "\n2 machines run or boot: 1.57 USD per hour. Stop them:\n  ./update_instances --option shutdown\n"
    )


def test_an_error_of_aws_that_ends_the_wait_is_followed_by_the_way_back(local: LocalCloud) -> None:
    local.set_faults(slow_boot=60)

    def refuse(_: float) -> None:
        fault = CallFault("ecs.DescribeServices", failure="access-denied", code="AccessDeniedException")
        local.set_faults(calls=[fault])

    answer = typed(local, "instances", "--option", "setup", "--workers", "1", sleep=refuse)
    assert answer.code == 1
    assert "Your AWS user may not call DescribeServices" in answer.words
    assert "No machine is running." in answer.words
    assert machines(local) == 0
    assert automatic_stops(local) == []


def test_a_quota_too_small_is_told_before_anything_is_started(local: LocalCloud) -> None:
    local.set_faults(vcpu_quota=32)
    answer = setup(local, "--workers", "2")
    assert answer.code == 1
    assert (
        "3 machines of 16 vCPU are more than the account may run at once: 32 vCPU. There is room for 2 machines."
        in answer.words
    )
    assert "request 48 vCPU or more" in answer.err
    assert "L-1216C47A" in answer.err
    assert machines(local) == 0
    assert setup(local, "--workers", "1").code == 0


def test_a_quota_that_can_t_be_asked_for_is_found_out_from_ec2_s_refusal(local: LocalCloud) -> None:
    local.set_faults(
        vcpu_quota=32, calls=[CallFault("service-quotas.*", failure="access-denied", code="AccessDeniedException")]
    )
    answer = setup(local, "--workers", "2")
    assert answer.code == 1
    assert "the account may run 32 vCPU at once" in answer.words
    assert "No machine is running." in answer.words
    assert machines(local) == 0


def test_a_cluster_grows_and_shrinks_without_disturbing_the_leader(local: LocalCloud) -> None:
    assert setup(local, "--workers", "3").code == 0
    (leader,) = local.nodes("leader")
    workers = {node.task for node in local.nodes("worker")}
    for number in (1, 2):
        answer = setup(local, "--workers", str(number))
        assert answer.code == 0, answer.err
        assert machines(local) == 1 + number
        assert [node.task for node in local.nodes("leader")] == [leader.task]
        assert len(local.nodes("worker")) == number
    assert workers & {node.task for node in local.nodes("worker")}


def test_what_isn_t_complete_in_time_is_stopped_unless_it_is_to_be_kept(local: LocalCloud) -> None:
    local.set_faults(slow_boot=60)
    answer = typed(local, "instances", "--option", "setup", "--workers", "0", "--timeout", "1s", "--keep-on-failure")
    assert answer.code == 1
    assert "isn't complete: machines: 1 wanted, 1 booting, 0 joined; running: leader 0/1." in answer.words
    assert "left as it is (--keep-on-failure). 1 machine runs or boots: 0.78 USD per hour. Stop them:" in answer.words
    assert machines(local) == 1
    shutdown(local)
    answer = typed(local, "instances", "--option", "setup", "--workers", "0", "--timeout", "1s")
    assert answer.code == 1
    assert "No machine is running." in answer.err
    assert machines(local) == 0


def test_what_waiting_cant_help_ends_the_wait_with_the_reason(local: LocalCloud) -> None:
    local.set_faults(missing_images=["worker"])
    started = time.monotonic()
    answer = typed(local, "instances", "--option", "setup", "--workers", "1", "--timeout", "5m")
    assert answer.code == 1
    assert time.monotonic() - started < 60
    assert f"--project {PROJECT} --worker WORKER_IMAGE" in answer.err
    assert "No machine is running." in answer.err
    assert machines(local) == 0


def test_without_waiting_it_returns_at_once(local: LocalCloud) -> None:
    local.set_faults(slow_boot=60)
    answer = setup(local, "--workers", "1", "--no-wait")
    assert answer.code == 0
    assert "AWS has been asked for the leader and 1 worker" in answer.out


def test_ctrl_c_says_what_may_be_running_what_it_costs_and_how_to_stop_it(local: LocalCloud) -> None:
    local.set_faults(slow_boot=60)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    answer = typed(local, "instances", "--option", "setup", "--workers", "1", sleep=interrupt)
    assert answer.code == 130
    assert answer.err.endswith(
        "Stopped by Ctrl-C.\n2 machines run or boot: 1.57 USD per hour. Stop them:\n"
        "  ./update_instances --option shutdown\n"
    )


def test_several_leaders_are_for_the_parallel_track(local: LocalCloud) -> None:
    answer = setup(local, "--workers", "0", "--leaders", "2")
    assert answer.code == 2
    assert "where one leader has all workers" in answer.err
    typed(local, "update", "--project", PROJECT, "--solver-type", "parallel")
    answer = setup(local, "--leaders", "3")
    assert answer.code == 0, answer.err
    assert "3 leaders run" in answer.out
    assert len(local.nodes("leader")) == 3
    shutdown(local)
    typed(local, "update", "--project", PROJECT, "--solver-type", "cloud")
