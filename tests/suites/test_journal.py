"""What several commands note of the same run, at the same time, and whichever of them is killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from satcomp_infra.errors import UsageError
from satcomp_infra.jobs import Verdict
from satcomp_infra.suites.journal import Run
from satcomp_infra.suites.lines import SharedLines
from satcomp_infra.suites.new_run import directory_of_its_own
from satcomp_infra.suites.records import Problem, Row, Settings

PROBLEM = Problem("p.cnf", "s3://bucket/p.cnf")
FOUND = Row("p.cnf", Verdict.UNSAT, wall=2.0, job="job")
MISSED = Row("p.cnf", Verdict.ERROR, job="job", reason="It has no result.")


def told(lines: SharedLines) -> list[object]:
    return [line["n"] for line in lines.new(lines.size())]


class TestSharedLines:
    def test_each_command_is_told_what_the_others_write_and_that_once(self, tmp_path: Path) -> None:
        first, second = SharedLines(tmp_path / "lines"), SharedLines(tmp_path / "lines")
        assert told(first) == []
        first.append([{"n": 1}])
        second.append([{"n": 2}, {"n": 3}])
        first.append([{"n": 4}])
        second.append([{"n": 5}])
        assert (told(first), told(second)) == ([2, 3, 5], [1, 4])
        first.append([{"n": 6}])
        assert (told(first), told(second)) == ([], [6])
        assert told(SharedLines(tmp_path / "lines")) == [1, 2, 3, 4, 5, 6]

    def test_a_line_is_told_when_it_is_complete(self, tmp_path: Path) -> None:
        lines = SharedLines(tmp_path / "lines")
        (tmp_path / "lines").write_text('{"n": 1}\n{"n": ')
        assert told(lines) == [1]
        with (tmp_path / "lines").open("a") as file:
            file.write("2}\n")
        assert told(lines) == [2]

    @pytest.mark.parametrize(("torn", "whole"), [('{"n": ', []), ('{"n": 2}', [2])])
    def test_what_a_killed_command_left_unfinished_doesn_t_spoil_the_next_line(
        self, tmp_path: Path, torn: str, whole: list[int]
    ) -> None:
        (tmp_path / "lines").write_text(f'{{"n": 1}}\n{torn}')
        first, second = SharedLines(tmp_path / "lines"), SharedLines(tmp_path / "lines")
        assert told(first) == [1]
        first.append([{"n": 3}])
        assert told(first) == whole
        assert told(second) == [1, *whole, 3]


class TestDirectory:
    def test_of_two_runs_begun_at_the_same_time_one_has_it(self, tmp_path: Path) -> None:
        first, second = (Run(tmp_path / "run", Settings(name, name), [Problem(name, "s3://b/k")]) for name in "ab")
        for run in (first, second):
            run.check_is_new(run.directory)
        first.store()
        with pytest.raises(UsageError, match="holds a run already"):
            second.store()
        first.store()
        assert Run.open(tmp_path / "run").problems == first.problems

    def test_one_that_nobody_has_named_is_new_and_gone_if_it_is_not_used(self, tmp_path: Path) -> None:
        runs = tmp_path / "runs"
        with directory_of_its_own(runs, "now") as first, directory_of_its_own(runs, "now") as second:
            (second / "file").touch()
            assert [first.name, second.name] == ["now", "now-2"]
        assert list(runs.iterdir()) == [second]


class TestTwoCommands:
    def both(self, tmp_path: Path) -> tuple[Run, Run]:
        first = Run(tmp_path, Settings("run", "id", timeout=5), [PROBLEM])
        first.store()
        first.sending([0])
        first.sent({0: "job"}, 1)
        return first, Run.open(tmp_path)

    def test_what_one_finds_the_other_knows(self, tmp_path: Path) -> None:
        first, second = self.both(tmp_path)
        second.add([FOUND])
        first.read_new()
        assert (first.rows, first.pending) == ({0: FOUND}, {})

    @pytest.mark.parametrize("rows", [(FOUND, MISSED), (MISSED, FOUND)])
    def test_a_result_that_one_has_missed_and_the_other_has_found_stands(
        self, tmp_path: Path, rows: tuple[Row, Row]
    ) -> None:
        both = self.both(tmp_path)
        for run, row in zip(both, rows, strict=True):
            run.add([row])
        for run in (*both, Run.open(tmp_path)):
            run.read_new()
            assert run.rows == {0: FOUND}
            assert not run.pending

    def test_the_results_of_a_job_count_no_more_when_it_is_sent_again(self, tmp_path: Path) -> None:
        first, second = self.both(tmp_path)
        first.add([MISSED])
        second.read_new()
        first.sending([0])
        for run in (first, Run.open(tmp_path)):
            assert (run.rows, run.unsure, run.pending) == ({}, {0}, {})
        first.sent({0: "new"}, 2)
        second.read_new()
        assert second.pending == {"new": 0}
        first.add([replace(FOUND, job="new")])
        second.read_new()
        assert second.rows == {0: replace(FOUND, job="new")}
