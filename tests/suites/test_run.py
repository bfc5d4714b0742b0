"""A run, from its problems to its report, in moto: what is sent, what is found, and how it is picked up again."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from satcomp_infra.jobs import Job, Result, Verdict
from satcomp_infra.suites import records
from satcomp_infra.suites.journal import Run

from ..typing_commands import NAMES, Answer, exists, queued, run
from .leaders import Leaders, benchmarks, queue, results_left, sat, suite

pytestmark = pytest.mark.usefixtures("aws", "no_pictures")


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / records.RESULTS).open(newline="") as file:
        return list(csv.DictReader(file))


def verdicts(directory: Path) -> list[str]:
    return [row["verdict"] for row in rows(directory)]


def uploaded() -> list[str]:
    objects = boto3.client("s3").list_objects_v2(Bucket=NAMES.bucket, Prefix="problems/").get("Contents", [])
    return [each["Key"] for each in objects]


def start(tmp_path: Path, *more: object, leaders: Leaders, number: int = 3, speed: float = 1) -> Answer:
    exists("parallel")
    words = (suite(tmp_path / "suite", number), "--timeout", 60, "--yes", "--output", tmp_path / "run", *more)
    return benchmarks(*words, act=leaders.work, speed=speed)


class TestWhole:
    def test_it_sends_each_problem_and_has_a_row_for_each_result(self, tmp_path: Path) -> None:
        leaders = Leaders()
        answer = start(
            tmp_path, "--name", "mine", "--solver", "fast", "--args", "-p", "--seed=7", leaders=leaders, number=23
        )
        assert answer.code == 0, answer.err
        assert len(leaders.jobs) == len({job.problem for job in leaders.jobs}) == 23
        assert {job.solver_options for job in leaders.jobs} == {("-p", "--seed=7")}
        assert {(job.solver_name, job.timeout_seconds) for job in leaders.jobs} == {("fast", 60)}
        found = rows(tmp_path / "run")
        assert [row["problem"] for row in found] == sorted(f"p{place}.cnf" for place in range(23))
        assert {(row["verdict"], row["wall"], row["model"], row["node"]) for row in found} == {
            ("SAT", "1.5", "right", "10.0.0.1")
        }
        assert "mine" in answer.out
        assert "Report: " in answer.words
        assert results_left() == []

    def test_the_cost_is_told_before_and_the_likely_one_by_an_earlier_run(self, tmp_path: Path) -> None:
        first = start(tmp_path, leaders=Leaders())
        assert "at worst        0.39 USD: 3 problems in 7 min 30 s" in first.err
        assert "not known: no earlier run" in first.err
        words = (tmp_path / "suite", "--timeout", 60, "--yes", "--output", tmp_path / "again")
        second = benchmarks(*words, act=Leaders().work)
        assert "likely          0.00 USD, by earlier runs of 3 problems" in second.err

    def test_above_the_budget_nothing_is_sent(self, tmp_path: Path) -> None:
        exists("parallel")
        words = (suite(tmp_path / "suite"), "--timeout", 1000, "--yes", "--output", tmp_path / "run")
        answer = benchmarks(*words, "--budget", "1")
        assert answer.code == 1
        assert "At worst this costs 2.80 USD, more than the budget of 1.00 USD." in answer.err
        assert "--timeout 298 or --limit 1" in answer.err
        assert queued() == []
        assert uploaded() == []
        assert benchmarks(*words, "--budget", "1", "--limit", "2").code == 1
        less = (suite(tmp_path / "suite"), "--timeout", 298, "--yes", "--output", tmp_path / "less")
        assert benchmarks(*less, "--budget", "1", act=Leaders().work).code == 0

    def test_without_yes_and_without_anybody_to_ask_nothing_is_sent(self, tmp_path: Path) -> None:
        exists("parallel")
        answer = benchmarks(suite(tmp_path / "suite"), "--timeout", 60, "--output", tmp_path / "run")
        assert answer.code == 2
        assert "nobody is there to ask. Add --yes" in answer.words
        assert queued() == []

    def test_where_no_leader_runs_it_says_so_and_how_to_start_one(self, tmp_path: Path) -> None:
        answer = start(tmp_path, leaders=Leaders())
        assert "no leader is running, and jobs wait until one is" in answer.err
        assert "--setup" in answer.err

    def test_a_wrong_answer_makes_the_exit_code_1(self, tmp_path: Path) -> None:
        (tmp_path / "known.csv").write_text("problem,verdict\np1,UNSAT\n")
        missing = Leaders(lambda job: Result("", Verdict.SAT, str(job.problem), model="missing"))
        answer = start(tmp_path, "--expected", tmp_path / "known.csv", leaders=missing)
        assert answer.code == 1
        assert answer.out.startswith("WRONG OR CONTRADICTING ANSWERS: 1\n  p1.cnf")
        assert "a competition would disqualify" in answer.out

    def test_the_answers_beside_each_directory_s_problems_count(self, tmp_path: Path) -> None:
        exists("parallel")
        for name in ("one", "two"):
            suite(tmp_path / name)
            (tmp_path / name / "expected.csv").write_text("problem,verdict\np1.cnf,UNSAT\n")
        words = (tmp_path / "one", tmp_path / "two", "--timeout", 60, "--yes", "--output", tmp_path / "run")
        answer = benchmarks(*words, act=Leaders().work)
        assert answer.code == 1
        assert "2 files expected.csv have the right answer to 2 of 6 problems." in answer.err
        assert "WRONG OR CONTRADICTING ANSWERS: 2" in answer.out

    def test_a_name_that_a_limit_leaves_alone_is_not_taken_for_another_s(self, tmp_path: Path) -> None:
        for name in ("a/x.cnf", "b/x.cnf"):
            (tmp_path / "suite" / name).parent.mkdir(parents=True)
            (tmp_path / "suite" / name).write_text(f"c {name}\np cnf 1 1\n1 0\n")
        (tmp_path / "known.csv").write_text("problem,verdict\nb/x.cnf,UNSAT\n")
        answer = start(tmp_path, "--limit", 1, "--expected", tmp_path / "known.csv", leaders=Leaders(), number=0)
        assert answer.code == 0, answer.out
        assert "has the right answer to 0 of 1 problem." in " ".join(answer.err.split())

    def test_a_limit_takes_problems_evenly(self, tmp_path: Path) -> None:
        start(tmp_path, "--limit", 3, leaders=Leaders(), number=9)
        assert [row["problem"] for row in rows(tmp_path / "run")] == ["p0.cnf", "p3.cnf", "p6.cnf"]

    def test_a_second_run_into_the_same_directory_is_refused(self, tmp_path: Path) -> None:
        start(tmp_path, leaders=Leaders())
        again = benchmarks(tmp_path / "suite", "--timeout", 60, "--yes", "--output", tmp_path / "run")
        assert again.code == 2
        assert f"(--resume {tmp_path / 'run'})" in again.err

    def test_two_runs_begun_in_the_same_second_have_a_directory_each(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exists("parallel")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("satcomp_infra.commands.benchmarks._now", lambda: "now")
        others: list[Answer | None] = []

        def other() -> None:
            if not others:
                others.append(None)
                others[0] = benchmarks(suite(tmp_path / "two", 2), "--timeout", 60, "--yes", act=Leaders().work)

        one = benchmarks(
            suite(tmp_path / "one", 3),
            "--timeout",
            60,
            "--yes",
            when="Uploading",
            act=other,
            speed=100,
            meanwhile=Leaders().work,
        )
        assert others[0]
        assert (one.code, others[0].code) == (0, 0)
        assert (verdicts(tmp_path / "runs" / "now"), verdicts(tmp_path / "runs" / "now-2")) == (
            ["SAT"] * 3,
            ["SAT"] * 2,
        )

    def test_workers_on_the_parallel_track_are_refused(self, tmp_path: Path) -> None:
        exists("parallel")
        answer = benchmarks(suite(tmp_path / "suite"), "--timeout", 60, "--workers", 2, "--yes")
        assert answer.code == 2
        assert "which has no workers" in answer.err


class TestFinding:
    def test_results_that_nobody_announces_are_found_in_the_bucket(self, tmp_path: Path) -> None:
        start(tmp_path, leaders=Leaders(announce=False), number=15)
        assert verdicts(tmp_path / "run") == ["SAT"] * 15

    def test_announcements_of_results_that_were_found_without_them_don_t_stay_on_the_queue(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("satcomp_infra.suites.following._ROUNDS", 1)
        monkeypatch.setattr("satcomp_infra.suites.following._FEW", 1)
        assert start(tmp_path, leaders=Leaders(), number=75).code == 0
        assert verdicts(tmp_path / "run") == ["SAT"] * 75
        assert results_left() == []

    def test_leaders_of_an_earlier_year_are_known_by_the_problem(self, tmp_path: Path) -> None:
        def solve(job: Job) -> Result:
            return Result("", Verdict.UNSAT, str(job.problem), solver_output={"return_code": 20}, wall_seconds=2.0)

        for place in range(3):
            (suite(tmp_path / "suite", 9) / f"same{place}.cnf").write_text("p cnf 1 1\n1 0\n")
        start(tmp_path, leaders=Leaders(solve, store=False, earlier=True), number=9, speed=100)
        assert {(row["verdict"], row["wall"]) for row in rows(tmp_path / "run")} == {("UNSAT", "2.0")}
        assert len(rows(tmp_path / "run")) == 12
        assert results_left() == []

    def test_other_clients_messages_are_left_to_them(self, tmp_path: Path) -> None:
        exists("parallel")
        others = [{"task_id": f"other {place}", "verdict": "SAT"} for place in range(15)]
        for other in others:
            boto3.client("sqs").send_message(QueueUrl=queue(NAMES.result_queue), MessageBody=json.dumps(other))
        start(tmp_path, leaders=Leaders(), number=12)
        assert verdicts(tmp_path / "run") == ["SAT"] * 12
        left = [message["task_id"] for message in results_left()]
        assert sorted(left)[-15:] == sorted(other["task_id"] for other in others)

    def test_a_job_that_was_given_up_is_an_error_that_says_so(self, tmp_path: Path) -> None:
        def act() -> None:
            sqs = boto3.client("sqs")
            jobs = queue(NAMES.job_queue)
            policy = sqs.get_queue_attributes(QueueUrl=jobs, AttributeNames=["RedrivePolicy"])["Attributes"]
            for _ in range(int(json.loads(policy["RedrivePolicy"])["maxReceiveCount"]) + 1):
                for message in sqs.receive_message(QueueUrl=jobs, MaxNumberOfMessages=10).get("Messages", []):
                    handle = message["ReceiptHandle"]
                    sqs.change_message_visibility(QueueUrl=jobs, ReceiptHandle=handle, VisibilityTimeout=0)

        exists("parallel")
        words = (suite(tmp_path / "suite"), "--timeout", 60, "--yes", "--output", tmp_path / "run")
        answer = benchmarks(*words, act=act)
        assert answer.code == 0
        assert {row["verdict"] for row in rows(tmp_path / "run")} == {"ERROR"}
        assert "given up: leaders took it as often" in rows(tmp_path / "run")[0]["reason"]

    def test_a_job_that_is_gone_is_not_waited_for_without_end(self, tmp_path: Path) -> None:
        leaders = Leaders(lambda job: sat(job) if len(leaders.jobs) != 2 else None)
        answer = start(tmp_path, leaders=leaders, speed=100)
        assert answer.code == 0
        assert sorted(verdicts(tmp_path / "run")) == ["ERROR", "SAT", "SAT"]
        assert any("has no result" in row["reason"] for row in rows(tmp_path / "run"))


def interrupt() -> None:
    raise KeyboardInterrupt


class TestResuming:
    def interrupted(self, tmp_path: Path, leaders: Leaders, done: int, number: int = 12) -> None:
        exists("parallel")
        words = (suite(tmp_path / "suite", number), "--timeout", 60, "--yes", "--output", tmp_path / "run")

        def act() -> None:
            leaders.work(done)
            raise KeyboardInterrupt

        answer = benchmarks(*words, act=act)
        assert answer.code == 130
        again = f"./run_benchmarks --resume {tmp_path / 'run'}"
        assert f"The jobs go on in AWS. To follow them again:\n  {again}\n" in answer.err

    def test_after_ctrl_c_it_goes_on_where_it_stopped_and_sends_nothing_again(self, tmp_path: Path) -> None:
        leaders = Leaders()
        self.interrupted(tmp_path, leaders, done=5)
        assert verdicts(tmp_path / "run") == [""] * 12
        answer = benchmarks("--resume", tmp_path / "run", act=leaders.work)
        assert answer.code == 0, answer.err
        assert verdicts(tmp_path / "run") == ["SAT"] * 12
        assert len(leaders.jobs) == 12
        again = benchmarks("--resume", tmp_path / "run")
        assert again.code == 0
        assert again.out == answer.out
        assert "Sending" not in again.err

    def test_what_was_not_sent_is_sent(self, tmp_path: Path) -> None:
        exists("parallel")
        words = (suite(tmp_path / "suite", 12), "--timeout", 60, "--yes", "--output", tmp_path / "run")
        assert benchmarks(*words, when="Sending", act=interrupt).code == 130
        assert queued() == []
        leaders = Leaders()
        refused = benchmarks("--resume", tmp_path / "run")
        assert refused.code == 2, "it costs money"
        assert benchmarks("--resume", tmp_path / "run", "--yes", act=leaders.work).code == 0
        assert len(leaders.jobs) == 12

    def test_the_budget_is_kept_and_what_was_spent_of_it_counts(self, tmp_path: Path) -> None:
        exists("parallel")
        output = tmp_path / "run"
        words = (suite(tmp_path / "suite", 12), "--timeout", 60, "--yes", "--output", output, "--budget", "5")
        assert benchmarks(*words, when="Sending", act=interrupt).code == 130
        (output / "costs.jsonl").write_text('{"dollars": 4.5}\n')
        refused = benchmarks("--resume", output, "--yes")
        assert refused.code == 1
        why = "more than the 0.50 USD that are left of the budget of 5.00 USD. Raise --budget."
        assert " ".join(refused.err.split()).endswith(why)
        assert queued() == []
        assert benchmarks("--resume", output, "--yes", "--budget", "6.5", act=Leaders().work).code == 0
        assert Run.open(output).settings.budget == 6.5

    def test_a_kill_between_sending_and_knowing_the_ids_loses_no_job_and_sends_none_twice(self, tmp_path: Path) -> None:
        leaders = Leaders()
        self.interrupted(tmp_path, leaders, done=0)
        journal = tmp_path / "run" / "jobs.jsonl"
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(lines[:-1]) + lines[-1][:20])  # the last answer was not yet on the disk
        assert Run.open(tmp_path / "run").unsure
        answer = benchmarks("--resume", tmp_path / "run", act=leaders.work)
        assert answer.code == 0
        assert verdicts(tmp_path / "run") == ["SAT"] * 12
        assert len(leaders.jobs) == 12

    def test_a_kill_while_failed_ones_are_sent_again_loses_no_job_and_sends_none_twice(self, tmp_path: Path) -> None:
        failing = Leaders(lambda job: Result("", Verdict.ERROR, str(job.problem), reason="The solver was killed."))
        start(tmp_path, leaders=failing)
        again = ("--resume", tmp_path / "run", "--retry", "errors", "--yes")
        assert benchmarks(*again, act=interrupt).code == 130
        journal = tmp_path / "run" / "jobs.jsonl"
        lines = journal.read_text().splitlines(keepends=True)
        assert '"sent"' in lines[-1]
        journal.write_text("".join(lines[:-1]))  # killed before the new ids were on the disk
        leaders = Leaders()
        answer = benchmarks(*again, act=leaders.work)
        assert answer.code == 0
        assert "Sent" not in answer.err, "it isn't known yet whether they were sent"
        assert verdicts(tmp_path / "run") == ["SAT"] * 3
        assert len(leaders.jobs) == 3
        assert results_left() == []

    def test_jobs_of_which_nothing_comes_are_sent_when_the_queue_is_empty(self, tmp_path: Path) -> None:
        self.interrupted(tmp_path, Leaders(), done=0)
        boto3.client("sqs").purge_queue(QueueUrl=queue(NAMES.job_queue))
        journal = tmp_path / "run" / "jobs.jsonl"
        lines = [line for line in journal.read_text().splitlines(keepends=True) if "sending" in line]
        journal.write_text("".join(lines))
        leaders = Leaders()
        answer = benchmarks("--resume", tmp_path / "run", meanwhile=leaders.work, speed=100)
        assert answer.code == 0
        assert verdicts(tmp_path / "run") == ["SAT"] * 12

    def test_a_result_that_was_half_written_is_found_again(self, tmp_path: Path) -> None:
        leaders = Leaders()
        start(tmp_path, leaders=leaders, number=12)
        journal = tmp_path / "run" / "results.jsonl"
        text = journal.read_text()
        journal.write_text(text[: len(text) - 30])
        answer = benchmarks("--resume", tmp_path / "run")
        assert answer.code == 0
        assert verdicts(tmp_path / "run") == ["SAT"] * 12
        assert len(leaders.jobs) == 12

    def test_failed_ones_are_sent_again_where_that_is_wanted_and_no_others(self, tmp_path: Path) -> None:
        def solve(job: Job) -> Result:
            if len(leaders.jobs) == 2:
                return Result("", Verdict.ERROR, str(job.problem), reason="The solver was killed.")
            return sat(job)

        leaders = Leaders(solve)
        start(tmp_path, leaders=leaders)
        assert sorted(verdicts(tmp_path / "run")) == ["ERROR", "SAT", "SAT"]
        answer = benchmarks("--resume", tmp_path / "run", "--retry", "errors", "--yes", act=leaders.work)
        assert answer.code == 0
        assert verdicts(tmp_path / "run") == ["SAT"] * 3
        assert len(leaders.jobs) == 4

    def test_a_second_client_follows_the_same_run_and_sends_nothing(self, tmp_path: Path) -> None:
        exists("parallel")
        words = (suite(tmp_path / "suite", 12), "--timeout", 60, "--yes", "--output", tmp_path / "run")
        leaders, seconds = Leaders(), []

        def act() -> None:
            if not seconds:
                seconds.append(None)
                seconds[0] = benchmarks("--resume", tmp_path / "run", act=leaders.work)

        first = benchmarks(*words, act=act)
        (second,) = seconds
        assert (first.code, second.code) == (0, 0)
        assert "Another command is at work on this run" in second.err
        assert first.out == second.out
        assert len(leaders.jobs) == 12

    def test_what_a_second_client_finds_of_earlier_years_leaders_the_first_knows(self, tmp_path: Path) -> None:
        def solve(job: Job) -> Result:
            return Result("", Verdict.UNSAT, str(job.problem), solver_output={"return_code": 20})

        exists("parallel")
        words = (suite(tmp_path / "suite", 5), "--timeout", 60, "--yes", "--output", tmp_path / "run")
        leaders, seconds = Leaders(solve, store=False, earlier=True), []

        def act() -> None:
            if not seconds:
                seconds.append(None)
                seconds[0] = benchmarks("--resume", tmp_path / "run", act=leaders.work, speed=100)

        first = benchmarks(*words, act=act, speed=100)
        assert (first.code, seconds[0].code) == (0, 0)
        assert verdicts(tmp_path / "run") == ["UNSAT"] * 5
        assert first.out == seconds[0].out

    def test_jobs_that_a_second_client_knows_of_are_not_sent_again(self, tmp_path: Path) -> None:
        leaders, seconds = Leaders(), []
        self.interrupted(tmp_path, leaders, done=0, number=5)
        journal = tmp_path / "run" / "jobs.jsonl"
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(line for line in lines if "sending" in line))

        def act() -> None:
            if not seconds:
                seconds.append(None)
                seconds[0] = benchmarks("--resume", tmp_path / "run", act=leaders.work)

        answer = benchmarks("--resume", tmp_path / "run", act=act, meanwhile=leaders.work, speed=100)
        assert (answer.code, seconds[0].code) == (0, 0)
        assert len(leaders.jobs) == 5

    def test_a_directory_without_a_run_is_told(self, tmp_path: Path) -> None:
        exists("parallel")
        answer = benchmarks("--resume", tmp_path)
        assert answer.code == 2
        assert "holds no run" in answer.words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        *(
            (f"--resume run {option}", f"{option.split()[0]} goes with PROBLEMS: a run goes on as it was begun")
            for option in (
                "--solver other", "--name new", "--limit 1", "--workers 0", "--language SMT", "--check-models on",
                "--timeout 5", "--expected e.csv", "--args -p",
            )
        ),
        ("--resume run --output elsewhere", "--output goes with PROBLEMS or --report: a run goes on as it was begun"),
        ("--report run --setup", "--setup goes with PROBLEMS or --resume"),
        ("--sample suite --limit=3", "--limit goes with PROBLEMS"),
        ("suite --timeout 5 --retry errors", "--retry goes with --resume"),
        ("suite --timeout 5 --leaders 2", "--leaders goes with --setup"),
    ],
)  # fmt: skip
def test_what_would_be_passed_over_is_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmarks(*words.split())
    assert ended.value.code == 2
    assert f"run_benchmarks: {said}. See" in " ".join(capsys.readouterr().err.split())


def test_what_sqs_fails_to_take_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.sqs.models import SQSBackend

    real, failures = SQSBackend.send_message_batch, iter([3, 1])

    def flaky(self: Any, queue_name: str, entries: dict[str, Any]) -> Any:
        taken = dict(list(entries.items())[: len(entries) - next(failures, 0)])
        messages, failed = real(self, queue_name, taken)
        lost = [entry["Id"] for key, entry in entries.items() if key not in taken]
        return messages, [
            *failed,
            *({"Id": name, "SenderFault": False, "Code": "InternalError", "Message": ""} for name in lost),
        ]

    monkeypatch.setattr(SQSBackend, "send_message_batch", flaky)
    leaders = Leaders()
    assert start(tmp_path, leaders=leaders, number=7).code == 0
    assert len(leaders.jobs) == 7
    assert verdicts(tmp_path / "run") == ["SAT"] * 7


def test_the_sample_suite_is_written_with_what_is_right_of_it(tmp_path: Path) -> None:
    answer = benchmarks("--sample", tmp_path / "suite")
    assert answer.code == 0
    assert len(list((tmp_path / "suite").iterdir())) == 31


def test_send_message_is_as_it_was() -> None:
    exists("parallel")
    run("send", "--location", f"s3://{NAMES.bucket}/test.cnf", "--workers", "0")
    assert "tag" not in queued()[0]
