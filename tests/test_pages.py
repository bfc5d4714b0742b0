"""Pages that are written by hand: what they say of formats, modules, switches and benchmarks is what there is."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as Xml
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from docs import module_map, parts, picture
from satcomp_infra import cli
from satcomp_infra.errors import Exit
from satcomp_infra.evidence import Agent, Evidence, Machine, Role
from satcomp_infra.fleet import Service
from satcomp_infra.job_queue import Backlog
from satcomp_infra.jobs import (
    COMPETITION_TIMEOUT_SECONDS,
    MAX_TIMEOUT_SECONDS,
    RETURN_CODES,
    Job,
    Result,
    S3Uri,
    Verdict,
)
from satcomp_infra.known_causes import Finding
from satcomp_infra.local import faults
from satcomp_infra.node import log as node_log
from satcomp_infra.node.earlier_attempts import EarlierAttempts, Ending
from satcomp_infra.node.manifest import Node
from satcomp_infra.node.outputs import CAPTURED_STDERR, CAPTURED_STDOUT, Outputs
from satcomp_infra.prices import NodeCost
from satcomp_infra.progress import Console
from satcomp_infra.project import PROJECT_TAG
from satcomp_infra.stack import Infrastructure, Stack, State
from satcomp_infra.status import Cluster, Status
from satcomp_infra.suites import benchexec, records, report
from satcomp_infra.suites.journal import Run
from satcomp_infra.tracks import CLOUD

from .pages import Row, check, flat, named, section, table, tables
from .suites.leaders import Leaders, benchmarks, sat, suite
from .typing_commands import NAMES, create

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PERFORMANCE = ROOT / "docs" / "performance.md"


FULL = Result(
    job_id="id",
    verdict=Verdict.SAT,
    problem="s3://bucket/a.cnf",
    reason="words",
    return_code=10,
    wall_seconds=1.5,
    cpu_seconds=12.25,
    peak_memory_mib=100,
    timeout_seconds=60,
    attempt=2,
    received_at=1.5,
    started_at=2.5,
    finished_at=4.5,
    node="10.0.0.1",
    instance="i-0",
    workers=("10.0.0.2",),
    files="s3://bucket/results/id/",
    model="right",
    tag="run/7",
    solver_output={"return_code": 10, "artifacts": {"stdout_path": "/a/stdout.log", "stderr_path": "/a/stderr.log"}},
)
"""A result of which no field is empty."""


class TestJobs:
    HEADING = "## A job: the message on the job queue"

    def test_the_message_has_these_fields(self) -> None:
        job = Job(S3Uri("bucket", "a.cnf"), 2, 60, "fast", ("-p",), "DIMACS", check_models=False, tag="mark")
        check(table(RESULTS, self.HEADING), json.loads(job.to_message()))

    def test_the_last_two_are_written_only_where_they_say_something(self) -> None:
        assert {"check_models", "tag"}.isdisjoint(json.loads(Job(S3Uri("bucket", "a.cnf")).to_message()))
        assert named(table(RESULTS, self.HEADING))[-2:] == ["check_models", "tag"]

    def test_what_is_missing_is_as_it_is_said_to_be(self) -> None:
        short = Job.from_message('{"s3_uri": "s3://bucket/a.cnf"}')
        assert Job.from_message('{"s3_uri": "s3://bucket/a.cnf", "num_workers": null, "of_2031": 1}') == short
        missing = {row.names[0]: row.cells["if it is missing"] for row in table(RESULTS, self.HEADING)}
        assert short == Job(S3Uri("bucket", "a.cnf"), timeout_seconds=COMPETITION_TIMEOUT_SECONDS)
        assert missing["num_workers"] == str(short.num_workers)
        assert missing["solverConfig.taskTimeoutSeconds"] == str(short.timeout_seconds)
        assert missing["check_models"] == str(short.check_models).lower()
        assert f"from 1 to {MAX_TIMEOUT_SECONDS} " in f"{section(RESULTS, self.HEADING)} "[:4000].replace("|", " ")

    def test_a_leader_takes_the_formats_of_three_years(self) -> None:
        blocks = re.findall(r"(?:^    .*\n)+", section(RESULTS, self.HEADING), re.MULTILINE)
        today, of_2023, of_2022 = (Job.from_message(block.replace("BUCKET", "bucket")) for block in blocks)
        assert today == of_2023 == Job(S3Uri("bucket", "test.cnf"), 1, 60, "", ("-p",), "DIMACS")
        assert of_2022 == Job(S3Uri("bucket", "test.cnf"), 1, COMPETITION_TIMEOUT_SECONDS)
        assert ["s3_uri" in block for block in blocks] == [True, False, True]


class TestResults:
    def test_result_json_has_these_fields(self) -> None:
        check(table(RESULTS, "### result.json"), json.loads(FULL.to_json()), opaque=["solver_output"])

    def test_the_announcement_has_these_fields(self) -> None:
        rows = table(RESULTS, "## The message on the result queue")
        check(rows, json.loads(FULL.announcement("/efs/a")), opaque=["solver.output"])

    def test_these_objects_lie_beside_it(self, tmp_path: Path) -> None:
        (tmp_path / "solver_out.json").write_text(
            json.dumps({"return_code": 10, "artifacts": {"stdout_path": "out.log", "stderr_path": "err.log"}})
        )
        for name in ("input.json", "out.log", "err.log", CAPTURED_STDOUT, CAPTURED_STDERR):
            (tmp_path / name).write_text("{}")
        stored = {"result.json", *Outputs.read(tmp_path).files(), "attempts/N.json"}
        objects = tables(RESULTS, "## A result: the objects in the bucket")[0]
        assert set(named(Row({"object": row.cells["object"]}) for row in objects)) == stored

    def test_an_attempt_that_is_given_back_leaves_these_fields(self, aws: None) -> None:
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="bucket")
        for ending in Ending:
            EarlierAttempts(s3, "bucket", "10.0.0.1").leave("id", 1, ending, "words", node_log.LOG).result(10)
            note = json.loads(s3.get_object(Bucket="bucket", Key="results/id/attempts/1.json")["Body"].read())
            rows = table(RESULTS, "### attempts/N.json")
            check(rows, note)
            assert f"`{ending}`" in rows[1].cells["meaning"]

    def test_log_lines_as_json_have_these_fields(self, capfd: pytest.CaptureFixture[str]) -> None:
        before = node_log.LOG.handlers[:], node_log.LOG.propagate, node_log.LOG.level
        try:
            for form, job_id in (("json", "id"), ("text", "JOB_ID")):
                node_log.set_up("leader", form)
                node_log.JobLog(job_id).info("s SATISFIABLE", extra={"stream": "stdout"})
                for handler in node_log.LOG.handlers:
                    handler.flush()  # a thread writes, and each log has its own
        finally:
            node_log.LOG.handlers[:], node_log.LOG.propagate = before[:2]
            node_log.LOG.setLevel(before[2])
        as_json, as_text = capfd.readouterr().out.splitlines()
        check(table(RESULTS, "## The nodes' log lines"), json.loads(as_json))
        assert as_text.partition(" ")[2] in section(RESULTS, "## The nodes' log lines")


class TestVerdicts:
    HEADING = "## Verdicts and exit codes"

    @pytest.fixture
    def verdicts(self) -> list[Row]:
        return tables(RESULTS, self.HEADING)[0]

    def test_there_are_these_with_these_return_codes(self, verdicts: list[Row]) -> None:
        assert named(Row({"verdict": row.cells["verdict"]}) for row in verdicts) == list(Verdict)
        codes = {int(code): row.names[0] for row in verdicts if (code := row.cells["solver's return code"]).isdigit()}
        assert codes == {code: str(verdict) for code, verdict in RETURN_CODES.items()}

    def test_commands_have_these_exit_codes(self) -> None:
        assert [int(row.cells["exit code"]) for row in tables(RESULTS, self.HEADING)[1]] == list(Exit)


class TestARun:
    """A run of two problems in moto, one with a wrong answer, and what is written on the way."""

    @pytest.fixture
    def written(self, aws: None, tmp_path: Path) -> Path:
        create("parallel")
        problems = suite(tmp_path / "suite", 2)
        (problems / "expected.csv").write_text("problem,verdict\np0.cnf,UNSAT\n")
        words = (problems, "--timeout", 60, "--yes", "--output", tmp_path / "run", "--solver", "fast", "--args", "-p")
        with pytest.MonkeyPatch.context() as patch:  # pictures take a second to draw, and are in the report below
            patch.setattr("satcomp_infra.suites.plots.missing", lambda: "no pictures")
            assert benchmarks(*words, act=Leaders().work).code == Exit.FAILURE
        return tmp_path / "run"

    def test_its_directory_has_these_files_with_these_fields(self, written: Path) -> None:
        finished = records.read(written)
        both = [finished, replace(finished, name="again", rows=(finished.rows[0],))]
        report.write(both, written / "both")
        Run.open(written).spend(0.25)  # moto's machines cost nothing
        benchexec.write(both, written / "both")
        files = {re.sub(r"^(run|again)(?=[.]results)", "NAME", f.name) for f in written.rglob("*") if f.is_file()}
        assert set(named(Row({"": row.cells["file"]}) for row in table(RESULTS, _RUN))) == files

        check(table(RESULTS, "### run.json"), json.loads((written / "run.json").read_text()))
        journal = [json.loads(line) for line in (written / "jobs.jsonl").read_text().splitlines()]
        check(table(RESULTS, "### jobs.jsonl"), *journal, opaque=["sent"])
        check(table(RESULTS, "### costs.jsonl"), json.loads((written / "costs.jsonl").read_text()))
        rows = table(RESULTS, "### results.csv and results.jsonl")
        check(rows, *(json.loads(line) for line in (written / "results.jsonl").read_text().splitlines()))
        assert header(written / "results.csv") == named(rows)
        about_problems = next(row for row in table(RESULTS, _RUN) if row.names == ["problems.csv"])
        assert header(written / "problems.csv") == re.findall(r"`(\w+)`", about_problems.cells["what it is"])

        tag = json.loads((written / "run.json").read_text())["id"] + "/1"
        assert Run.open(written).settings.job(1, Run.open(written).problems[1]).tag == tag
        summary = json.loads((written / "both" / "summary.json").read_text())
        check(table(RESULTS, "### summary.json"), {**summary, "notes": summary["notes"] or ["?"]})
        assert "comparison" not in json.loads((written / "summary.json").read_text())


_RUN = "## A run of many problems: its directory"


def header(file: Path) -> list[str]:
    """A CSV file's columns."""
    with file.open(newline="") as opened:
        return next(csv.reader(opened))


def test_send_message_ends_with_the_exit_codes_of_the_verdicts(aws: None) -> None:
    create("parallel")
    words = ["--location", f"s3://{NAMES.bucket}/test.cnf", "--workers", "0", "--await-response"]
    for row in tables(RESULTS, TestVerdicts.HEADING)[0][2:]:  # SAT and UNSAT are in test_commands.py
        verdict = Verdict(row.names[0])
        leaders = Leaders(lambda job, verdict=verdict: replace(sat(job), verdict=verdict))
        console = Console(Watcher("Job ", leaders.work), io.StringIO(), sleep=lambda _: None)
        code = cli.main("commands.send", words, console)
        assert code == int(row.cells["exit code of `send_message --await-response`"]), row.names[0]


def test_show_status_prints_these_fields_as_json() -> None:
    rows = table(RESULTS, "## What show_status prints as JSON")
    shown = json.loads(json.dumps(_status().as_json()))
    roles = shown["services"].keys()
    assert set(roles) == {"leader", "worker"}
    shown["services"] = {"ROLE": shown["services"]["leader"]}
    check(rows, shown)
    incomplete = replace(_status(), cluster=None, stack=replace(_status().stack, status="ROLLBACK_COMPLETE"))
    first = [name for name, _ in flat(json.loads(json.dumps(incomplete.as_json())))]
    assert named(rows)[: len(first)] == first
    assert first[-1].startswith("findings[]")
    states = next(row for row in rows if row.names == ["infrastructure.state"]).cells["meaning"]
    assert set(re.findall(r"`(\w+)`", states)) == {state.value for state in State}


def _status() -> Status:
    """That of a cluster with a machine and a node, in which something is wrong."""
    now = datetime(2026, 11, 25, tzinfo=UTC)
    stack = Stack("id", "job-queue-my-solver", "CREATE_COMPLETE", "", {PROJECT_TAG: "my-solver"}, {})
    names: Any = dict.fromkeys((field.name for field in fields(Infrastructure)), "a name")
    machine = Machine(
        *("i-0", CLOUD.instance_type, "us-east-1a", "running", now, "10.0.0.1"),
        has_public_address=True,
        agent=Agent(connected=True, cpu=16384, memory=63266, tasks=1),
    )
    evidence = Evidence(
        now=now,
        region="us-east-1",
        desired_machines=1,
        group_machines=1,
        group_zones=("us-east-1a",),
        machines=(machine,),
        roles={role: Role(role, Service(1, 0, 1), ()) for role in ("leader", "worker")},
        stopped=(),
        activities=(),
        nodes=(Node("id", "10.0.0.1", "READY", "LEADER", now.timestamp()),),
        last_words={},
        waiting=None,
    )
    finding = Finding("node-crashes", "It ended.", "./show_status --logs leader", fatal=True, lines=("what it said",))
    cost = NodeCost(0.768, 0.005, 0.011)
    infrastructure = replace(Infrastructure(**names), track=CLOUD)
    cluster = Cluster(infrastructure, evidence, Backlog(1, 2, 3), now, cost, (finding,))
    return Status("123456789012", "us-east-1", stack, cluster)


class Watcher(io.StringIO):
    """An output that lets something happen when words go by."""

    def __init__(self, words: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._words, self._act = words, act

    def write(self, text: str) -> int:
        if self._words in text:
            self._act()
        return super().write(text)


class TestArchitecture:
    def test_nothing_in_the_package_knows_the_local_cloud(self) -> None:
        modules = module_map.of_the_package()
        local = {name for name in modules.modules if name.partition(".")[0] == "local"}
        assert len(local) > 20
        assert [name for name in modules.modules if name not in local and modules.imports(name) & local] == []

    def test_the_node_runtime_imports_the_modules_that_are_named_and_no_others(self) -> None:
        modules = module_map.of_the_package()
        nodes = [name for name in modules.modules if name.partition(".")[0] == "node"]
        outside = {each for name in nodes for each in modules.imports(name)} - set(nodes)
        named_ones = re.search(r"four modules from\s+outside of its folder \(([^)]+)\)", ARCHITECTURE.read_text())
        assert named_ones
        assert outside == set(re.findall(r"`(\w+)`", named_ones[1]))

    def test_a_module_stands_above_those_that_it_imports(self) -> None:
        modules = module_map.of_the_package()
        for section_name, _ in module_map.SECTIONS:
            order = [module.name for module in modules.section(section_name)]
            assert order
            for place, name in enumerate(order):
                above = modules.imports(name, for_types=False) & set(order[:place])
                assert not above, name

    def test_the_map_has_every_module(self) -> None:
        files = {str(path.relative_to(ROOT)) for path in module_map.PACKAGE.rglob("*.py") if path.stem != "__init__"}
        assert set(re.findall(r"\(\.\./(satcomp_infra/[^)]+\.py)\)", module_map.text())) == files

    def test_modules_that_a_job_goes_through_are_there(self) -> None:
        modules = set(module_map.of_the_package().modules)
        way = section(ARCHITECTURE, "## A job's way")
        assert set(re.findall(r"`((?:node|suites)\.\w+)`", way)) <= modules
        assert len(re.findall(r"^\d+\. ", way, re.MULTILINE)) == len(picture.STEPS)

    def test_a_page_without_marks_for_a_part_is_noticed(self, tmp_path: Path) -> None:
        page = tmp_path / "page.md"
        page.write_text("<!-- a: written by make docs -->\nold\n<!-- end of a -->\nkept\n")
        new = "<!-- a: written by make docs -->\n\nnew\n\n<!-- end of a -->\nkept\n"
        assert parts.renewed(page, {"a": "new\n"}) == new
        with pytest.raises(ValueError, match="'<!-- b: written by make docs -->'"):
            parts.renewed(page, {"b": "new"})


class TestPicture:
    def test_it_is_xml_without_anything_that_is_loaded_from_elsewhere(self) -> None:
        root = Xml.fromstring(picture.svg())
        assert root.attrib["viewBox"] == f"0 0 {picture.WIDTH} {picture.HEIGHT}"
        assert "prefers-color-scheme: dark" in picture.svg()
        assert not re.search(r"href|@import|url\((?!#)", picture.svg())

    def test_texts_fit_also_in_a_wide_font(self) -> None:
        matplotlib = pytest.importorskip("matplotlib")
        from matplotlib.ft2font import FT2Font

        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        files = {"command": "DejaVuSansMono.ttf", "note": "DejaVuSans.ttf"}
        assert picture.texts()
        for text in picture.texts():
            font = FT2Font(str(fonts / files.get(text.kind, "DejaVuSans-Bold.ttf")))
            font.set_size(text.size * 10, 72)  # larger, so that nothing is rounded to whole pixels
            font.set_text(text.text)
            width = font.get_width_height()[0] / 64 / 10
            assert width <= text.room, text

    def test_each_step_has_its_number_in_the_picture_and_its_line_below(self) -> None:
        numbers = [int(text.text) for text in picture.texts() if text.kind == "number"]
        for number in range(1, len(picture.STEPS) + 1):
            assert numbers.count(number) >= 2
        assert max(numbers) == len(picture.STEPS)


class TestContributing:
    SWITCHES = tables(CONTRIBUTING, "### Fault switches")

    def test_there_are_these_switches(self) -> None:
        assert named(self.SWITCHES[0]) == [field.name for field in fields(faults.Faults)]

    @pytest.mark.parametrize("row", SWITCHES[0], ids=lambda row: row.names[0])
    def test_an_example_changes_its_switch_alone(self, row: Row) -> None:
        (text,) = re.findall(r"`(.*)`", row.cells["example"])
        example = json.loads(text)
        assert list(example) == row.names
        changed = faults.Faults().changed(example)
        assert [f.name for f in fields(changed) if getattr(changed, f.name) != f.default] == row.names

    def test_their_entries_have_these_fields(self) -> None:
        said = [
            (row.names[0], re.findall(r"`(\w+)`", row.cells["field"])[0], row.cells["if it is missing"].strip("`"))
            for row in self.SWITCHES[1]
        ]
        there = [
            (switch, field.name, "" if field.default is MISSING else json.dumps(field.default))
            for switch, kind in faults._KINDS.items()
            for field in fields(kind)
        ]
        assert said == there

    @pytest.mark.parametrize(("field", "kind"), faults._ENUMS.items())
    def test_these_words_are_known(self, field: str, kind: type[faults.Failure]) -> None:
        meaning = next(row.cells["meaning"] for row in self.SWITCHES[1] if f"`{field}`" in row.cells["field"])
        assert re.findall(r"`([\w-]+)`", meaning) == list(kind)

    def test_the_default_quota_is_named(self) -> None:
        assert f"({faults.DEFAULT_VCPU_QUOTA} otherwise)" in self.SWITCHES[0][0].cells["what goes wrong"]

    def test_make_has_these_targets(self) -> None:
        (phony,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {name.removeprefix("make ") for name in named(table(CONTRIBUTING, "## make"))} == set(phony.split())

    def test_folders_of_tests_and_what_a_recipe_names_are_there(self) -> None:
        folders = {f"tests/{path.parent.name}/" for path in (ROOT / "tests").glob("*/__init__.py")}
        assert set(named(table(CONTRIBUTING, "## Tests"))) == folders | {"tests/"}
        for path in re.findall(r"`((?:satcomp_infra|tests|tools|docs|templates)/[\w./-]+)`", CONTRIBUTING.read_text()):
            assert (ROOT / path).exists() or "NAME" in path, path


class TestPerformance:
    def test_every_benchmark_is_told_of_with_its_command(self) -> None:
        files = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
        (rows,) = tables(PERFORMANCE, "# Performance")
        commands = [command for row in rows for command in re.findall(r"`(.+?)`", row.cells["command"])]
        scripts = {re.sub(r"^python (benchmarks/|-m benchmarks\.)|\.py$", "", c) for c in commands} - {"make faults"}
        assert scripts == files

    def test_no_figures_stand_elsewhere(self) -> None:
        assert not re.search(r"\d+[.]\d", (ROOT / "benchmarks" / "README.md").read_text())
