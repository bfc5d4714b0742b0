"""The one-screen view, its JSON, and the nodes' lines: of an infrastructure in any state, and of clusters that run."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from satcomp_infra import automatic_stop, node_logs
from satcomp_infra.aws import Aws
from satcomp_infra.screen import draw, span
from satcomp_infra.stack import _STATES, State
from satcomp_infra.status import look
from tools.tmux import Screen

from .conftest import ACCOUNT, REGION
from .local_cluster import REAL, ROOT, SLEEP, LocalCluster, running
from .test_states import Status
from .typing_commands import PROJECT, Answer, exists, plain, run
from .waiting import eventually

HEALTHY = r"""Project         team/solver_1, cloud track, in us-east-1 of account 123456789012
Infrastructure  ready \(job-queue-team-solver-1, CREATE_COMPLETE\)
Machines        2 of 2 wanted \(m6i\.4xlarge, 0\.78 USD per hour each\)
  i-[0-9a-f]{17}  us-east-1a      running       +\d+ (s|min)
  i-[0-9a-f]{17}  us-east-1a      running       +\d+ (s|min)
Services        leader 1 running, 0 pending, 1 wanted
                worker 1 running, 0 pending, 1 wanted
Nodes           as they say of themselves
  leader  127[\d.]+ +READY
  worker  127[\d.]+ +READY
Jobs            2 waiting, 0 being solved, 0 given up
Automatic stop  NONE. To stop the machines:
                  ./update_instances --option shutdown
Cost            1\.57 USD per hour; 0\.\d\d USD since these machines were started
                \(prices of us-east-1\)

All is well\.
"""


def status(*words: str) -> Answer:
    return run("status", *words)


class TestWithoutACluster:
    """Against moto, in this process."""

    pytestmark = pytest.mark.usefixtures("aws")

    def test_what_is_not_there_is_an_error(self) -> None:
        for words in ((), ("--logs", "leader"), ("--watch",)):
            answer = status(*words)
            assert answer.code == 1
            assert answer.out == ""
            assert "There is no infrastructure of " in answer.err

    def test_several_projects_have_to_be_told_apart(self) -> None:
        exists(project="one")
        boto3.client("cloudformation").create_stack(
            StackName="job-queue-two",
            TemplateBody='{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}',
            Tags=[{"Key": "satcomp-infrastructure:project", "Value": "two"}],
        )
        assert "Say which one you mean, for example: --project one" in status().err

    def test_an_infrastructure_in_any_state(self) -> None:
        said = {
            State.READY: (0, "All is well."),
            State.BUSY: (0, " at the moment (job-queue-team-solver-1,"),
            State.BROKEN: (1, f"\n  Remove what is there:\n    ./delete-solver-infrastructure --project {PROJECT}\n"),
            State.ABSENT: (1, "There is no infrastructure of "),
        }
        exists()
        statuses = [(status, state) for state in said for status in _STATES[state][:3]]  # deleted last
        for number, (text, state) in enumerate(statuses):
            Status(text)
            answer = status(*(("--project", PROJECT) if number % 2 else ()))
            assert answer.code == said[state][0], text
            assert said[state][1] in answer.out + answer.err, text
            if state is not State.ABSENT and text == _STATES[state][0]:
                shown = json.loads(status("--json").out)
                assert shown["infrastructure"]["status"] == text
                assert shown["well"] is (answer.code == 0)
                kinds = [found["kind"] for found in shown["findings"]]
                assert kinds == (["infrastructure-broken"] if state is State.BROKEN else [])

    @pytest.mark.parametrize(
        ("text", "doing"),
        [("CREATE_IN_PROGRESS", "created"), ("DELETE_IN_PROGRESS", "deleted"), ("UPDATE_IN_PROGRESS", "updated")],
    )
    def test_what_is_being_done_is_told(self, text: str, doing: str) -> None:
        exists()
        Status(text)
        assert f"\nInfrastructure  is being {doing} at the moment (job-queue-team-solver-1,\n" in status().out

    def test_a_stack_of_another_version_is_named(self) -> None:
        boto3.client("cloudformation").create_stack(
            StackName="job-queue-two",
            TemplateBody='{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}',
            Tags=[{"Key": "satcomp-infrastructure:project", "Value": "two"}],
        )
        answer = status()
        assert answer.code == 1
        assert "is not one that this version made" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--follow"], "--follow goes with --logs"),
        (["--since", "5m"], "--since goes with --logs"),
        (["--logs", "nobody"], "'leader', 'worker'"),
        (["--logs", "leader", "--since", "5"], "write for example 90s, 15m or 8h"),
        (["--logs", "leader", "--since", "99999999999h"], "'99999999999h' is too long: 8760h, a year, is the most"),
        (["--watch", "--json"], "nly one of --watch, --json and --logs"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("status", *words)
    assert ended.value.code == 2
    assert said in plain(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (11100, "3 h 5 min"), (3600 * 52, "2 d 4 h")],
)
def test_a_time_span_is_told_in_short(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.fixture(scope="module")
def module_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(module_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> LocalCluster:
    for name, value in module_cluster.local.environment().items():
        monkeypatch.setenv(name, value)
    module_cluster.clear()
    return module_cluster


def test_an_infrastructure_in_which_nothing_runs_is_well(cluster: LocalCluster) -> None:
    answer = status()
    assert answer.code == 0
    assert "Machines        none: nothing costs money per hour\n" in answer.out
    assert "NONE!" not in answer.out
    assert answer.out.endswith("\nAll is well.\n")


def test_a_healthy_cluster_on_one_screen_and_as_json(cluster: LocalCluster) -> None:
    cluster.local.set_faults(calls=[{"calls": "sqs.ReceiveMessage", "failure": "unavailable"}])
    cluster.nodes_do(REAL, REAL)
    queue = cluster.infrastructure.job_queue
    for _ in range(2):
        cluster.local.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    cluster.run(1, 1)
    eventually(lambda: status().out.count(" READY") == 2)
    answer = status()
    assert answer.err == ""
    assert answer.code == 0
    assert re.fullmatch(HEALTHY, answer.out), answer.out

    shown: dict[str, Any] = json.loads(status("--json").out)
    assert shown["well"] is True
    assert shown["findings"] == []
    assert shown["services"]["worker"] == {"desired": 1, "pending": 0, "running": 1}
    assert [node["status"] for node in shown["nodes"]] == ["READY", "READY"]
    assert {node["machine"] for node in shown["nodes"]} == {machine["id"] for machine in shown["machines"]}
    assert shown["queues"] == {"waiting": 2, "taken": 0, "given_up": 0}
    assert shown["cost"]["per_hour"] == pytest.approx(2 * 0.784, abs=0.001)
    cluster.local.client("sqs").purge_queue(QueueUrl=queue)


def test_a_broken_cluster_says_what_is_wrong_and_what_to_do(cluster: LocalCluster) -> None:
    cluster.nodes_do("echo boom; exit 3")
    cluster.local.set_faults(missing_images=["worker"])
    automatic_stop.put(cluster.aws, cluster.infrastructure.auto_scaling_group, 2 * 3600 + 90)
    cluster.start(1, 1)
    eventually(lambda: "| boom" in status().out and "repository" in status().out)
    answer = status()
    assert answer.code == 1
    assert re.search(r"^Automatic stop  \d{4}-\d\d-\d\d \d\d:\d\d, in 2 h 1 min$", answer.out, re.MULTILINE)
    wrong = answer.out.partition("\nWhat is wrong:\n")[2]
    assert re.search(r"^- The leader ended after [\d.]+ s with exit code 3", wrong)
    assert "\n    | boom\n" in wrong
    assert f"\n  Push it:\n    ./push-ecr --project {PROJECT} --worker WORKER_IMAGE\n" in wrong
    shown = json.loads(status("--json").out)
    assert {"image-missing", "node-crashes"} <= {found["kind"] for found in shown["findings"]}
    automatic_stop.remove(cluster.aws, cluster.infrastructure.auto_scaling_group)


def test_a_node_that_is_silent_is_said_to_be(cluster: LocalCluster) -> None:
    cluster.run(1)
    item = {"nodeId": "x", "nodeIp": "10.0.0.1", "nodeType": "LEADER", "status": "BUSY", "jobId": "0123-4567"}
    attributes = {name: {"S": value} for name, value in item.items()}
    attributes["instanceId"] = {"S": cluster.cluster.instances()[0]}
    attributes["lastModified"] = {"N": str(int(time.time()) - 130)}
    cluster.local.client("dynamodb").put_item(TableName="SatCompNodeManifest", Item=attributes)
    answer = status()
    assert answer.code == 1
    assert "\n  leader  10.0.0.1         BUSY   SILENT for 2 min\n" in answer.out
    assert re.search(r"^ +job 0123-4567$", answer.out, re.MULTILINE)
    assert "The leader at 10.0.0.1 has not been heard of for 2 min" in answer.out


def test_machines_of_a_large_cluster_are_counted(cluster: LocalCluster) -> None:
    cluster.local.set_faults(slow_boot=1000)
    cluster.start(1, 11)
    eventually(lambda: len(cluster.cluster.instances()) == 12)
    answer = status()
    assert answer.code == 0
    assert "Machines        12 of 12 wanted" in answer.out
    assert "\n  and 4 more\n" in answer.out
    assert len(json.loads(status("--json").out)["machines"]) == 12


def test_all_that_needs_no_other_answer_is_asked_at_the_same_time(cluster: LocalCluster) -> None:
    cluster.run(1)
    aws = Aws(boto3.Session())
    look(aws, None)  # makes the clients
    questions = 10
    all_asked = threading.Barrier(questions, timeout=20)
    asked = itertools.count()

    def wait_for_the_others(**_: object) -> None:
        if next(asked) < questions:
            all_asked.wait()  # raises where one of them is asked only after the answer to another

    for name, client in aws._clients.items():
        if name not in ("cloudformation", "sts"):
            client.meta.events.register("before-send", wait_for_the_others)
    look(aws, None)
    assert next(asked) >= questions


def test_lines_of_all_nodes_are_merged_by_time(cluster: LocalCluster) -> None:
    talk = "for n in 1 2 3; do echo line $n of $1; sleep 0.3; done; " + SLEEP
    cluster.nodes_do(talk, talk)
    cluster.run(1, 2)
    answer = eventually(lambda: a if (a := run("status", "--logs", "worker")).out.count("line 3") >= 2 else None)
    assert answer.code == 0
    lines = [line.split(" ", 2) for line in answer.out.splitlines()]
    addresses = {m["address"] for m in json.loads(status("--json").out)["machines"]}
    assert len({node for _, node, text in lines[-6:] if node in addresses}) == 2
    assert {text for _, _, text in lines[-6:]} == {f"line {n} of worker" for n in (1, 2, 3)}
    assert [time for time, _, _ in lines] == sorted(time for time, _, _ in lines)
    assert "of leader" not in answer.out
    assert "line" in run("status", "--logs", "leader", "--since", "1m").out
    time.sleep(1.1)
    assert run("status", "--logs", "leader", "--since", "0.1s").out == ""


def test_a_node_is_called_by_its_address_or_else_by_its_task() -> None:
    there, asked = {"a" * 32: "10.0.0.1"}, []

    def ask() -> dict[str, str]:
        asked.append(dict(there))
        return there

    name = node_logs.Names(ask)
    now = node_logs.since(0)
    assert name("a" * 32, now) == "10.0.0.1"
    assert [name(task * 32, now - 3_600_000) for task in "bcb"] == ["bbbbbbbb", "cccccccc", "bbbbbbbb"]
    assert len(asked) == 1  # those that ended long ago aren't known to the next answer, either
    there["d" * 32] = "10.0.0.2"
    assert [name(task * 32, now + 2000) for task in "dada"] == ["10.0.0.2", "10.0.0.1"] * 2
    assert [name("e" * 32, now + 3000) for _ in range(3)] == ["eeeeeeee"] * 3
    assert len(asked) == 3


def program(cluster: LocalCluster, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / "show_status", *words],
        env={**os.environ, **cluster.local.environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_lines_are_followed_until_ctrl_c(cluster: LocalCluster) -> None:
    cluster.nodes_do(f"for n in $(seq 1000); do echo line $n {os.getpid()}; sleep 0.2; done")
    cluster.run(1)
    with program(cluster, "--logs", "leader", "--follow", "--since", "20s") as following:
        assert following.stdout is not None
        lines = iter(following.stdout)
        mine = (line for line in lines if f"{os.getpid()}" in line)
        seen = [next(mine) for _ in range(10)]
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=20)
    assert (following.returncode, err) == (0, "")
    assert [line.split()[3] for line in seen] == [str(n) for n in range(1, 11)]


def test_watching_without_a_terminal_prints_screen_after_screen(cluster: LocalCluster) -> None:
    with program(cluster, "--watch", "0.2s") as watching:
        assert watching.stdout is not None
        ends = (line for line in iter(watching.stdout) if line == "All is well.\n")
        next(ends)
        next(ends)
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=20)
    assert (watching.returncode, err) == (0, "")


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed: apt install tmux")
def test_watching_redraws_in_place(cluster: LocalCluster) -> None:
    terminal = Screen(cluster.local.environment())
    try:
        terminal.command("show_status", "--watch", "0.3s")
        terminal.wait_for(r"^Machines +none")
        cluster.start(1)
        shown = terminal.wait_for(r"^Machines +1 of 1 wanted")
        assert shown.count("Project ") == 1
        cluster.local.set_faults(calls=[{"calls": "*", "failure": "access-denied"}])
        shown = terminal.wait_for(r"^This is from some time ago, for now: Your AWS user may not call")
        assert shown.count("Project ") == 1
        terminal.press("C-c")
        shown = terminal.wait_for(r"code=0")
        assert "Traceback" not in shown
        assert "Stopped by Ctrl-C" not in shown
    finally:
        terminal.close()


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed: apt install tmux")
def test_watching_a_large_cluster_shows_what_is_wrong_on_24_lines(cluster: LocalCluster) -> None:
    cluster.local.set_faults(slow_boot=1000, vcpu_quota=9 * 16)
    cluster.start(1, 9)
    there = eventually(lambda: machines if len(machines := cluster.cluster.instances()) == 9 else None)
    for number, machine in enumerate(there):
        item = {"nodeId": machine, "nodeIp": f"10.0.0.{number}", "nodeType": "WORKER", "status": "READY"}
        attributes = {name: {"S": value} for name, value in {**item, "instanceId": machine}.items()}
        attributes["lastModified"] = {"N": str(int(time.time()) + 60)}
        cluster.local.client("dynamodb").put_item(TableName="SatCompNodeManifest", Item=attributes)
    terminal = Screen(cluster.local.environment())
    try:
        terminal.command("show_status", "--watch", "0.3s")
        shown = terminal.wait_for(r"^- The account may run 144 vCPU at once")
        assert "Request more" in shown
        assert "9 of 10 wanted" in shown
        assert re.search(r"^  and \d more, \d of them READY$", shown, re.MULTILINE)
        assert shown.count("Project ") == 1
    finally:
        terminal.close()


def test_what_doesn_t_fit_begins_with_what_is_wrong(cluster: LocalCluster) -> None:
    cluster.local.set_faults(vcpu_quota=16)
    cluster.start(1, 1)
    eventually(lambda: status().code == 1)
    seen = look(cluster.aws, None)
    whole = draw(seen)
    assert whole.startswith("Project ")
    first = draw(seen, lambda _: False)
    assert first.startswith("What is wrong:\n- The account may run 16 vCPU at once")
    assert sorted(first.split("\n")) == sorted(whole.split("\n"))


def test_an_automatic_stop_that_has_come_is_told_and_jobs_that_wait_for_machines(cluster: LocalCluster) -> None:
    cluster.run(1, 1)
    automatic_stop.put(cluster.aws, cluster.infrastructure.auto_scaling_group, 0.5)
    eventually(lambda: not cluster.cluster.instances())
    queue = cluster.infrastructure.job_queue
    cluster.local.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    answer = status()
    assert answer.code == 0
    assert "\nMachines        none: nothing costs money per hour\n" in answer.out
    again = "./update_instances --option setup --workers 1"
    told = " ".join(answer.out.split())
    assert f"Automatic stop has come: all machines are stopped. To start again: {again} All is well." in told
    assert f"Jobs 1 waiting, 0 being solved, 0 given up No machine runs, so 1 job waits. Start: {again}" in told
    (job,) = cluster.local.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    cluster.local.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=job["ReceiptHandle"])


def test_the_stop_in_json_is_a_time(cluster: LocalCluster) -> None:
    at = automatic_stop.put(cluster.aws, cluster.infrastructure.auto_scaling_group, 3600)
    shown = json.loads(status("--json").out)
    assert abs(datetime.fromisoformat(shown["automatic_stop"]) - at) < timedelta(seconds=2)
    assert datetime.fromisoformat(shown["time"]).tzinfo == UTC
    assert (shown["account"], shown["region"]) == (ACCOUNT, REGION)
    automatic_stop.remove(cluster.aws, cluster.infrastructure.auto_scaling_group)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-25T02:43:38.995Z leader job=1 received: s3://b/k", "job=1 received: s3://b/k"),
        ("2026 models leader", "2026 models leader"),
    ],
)
def test_a_node_s_own_time_is_not_shown_twice(text: str, shown: str) -> None:
    line = str(node_logs.Line(("stream", "1"), 1764038618995, "fb8dd7db", text))
    assert re.fullmatch(r"\d\d:\d\d:\d\d fb8dd7db " + re.escape(shown), line)
