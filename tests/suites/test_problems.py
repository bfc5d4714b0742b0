"""Collecting problems, uploading each content once, and knowing what is right."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from satcomp_infra.aws import Aws
from satcomp_infra.errors import SatcompError, UsageError
from satcomp_infra.jobs import S3Uri
from satcomp_infra.progress import Console, Wait
from satcomp_infra.suites.expected import answers, expected_verdicts
from satcomp_infra.suites.problems import ObjectLister, collect
from satcomp_infra.suites.records import Problem
from satcomp_infra.suites.uploading import locate, upload

BUCKET = "some-bucket"


@pytest.fixture
def bucket(aws: None) -> str:
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return BUCKET


def put(*keys: str) -> None:
    for key in keys:
        boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"p cnf 1 1\n1 0\n")


def found(*words: object) -> list[str]:
    return [source.name for source in collect([str(word) for word in words], ObjectLister(Aws.connect()))]


def write(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(f"c {name}\np cnf 1 1\n1 0\n")
    return directory


def wait() -> Wait:
    return Wait(Console(io.StringIO(), io.StringIO()), "")


@dataclass(frozen=True)
class Sent:
    problems: list[Problem]
    files: int


def send(words: list[object], known: dict[str, str] | None = None) -> Sent:
    sources = collect([str(word) for word in words], ObjectLister(Aws.connect()))
    located = locate(BUCKET, sources, known or {}, wait())
    return Sent(located.problems, upload(Aws.connect(), BUCKET, located.files, wait()).files)


class TestCollecting:
    def test_a_directory_has_its_problems_of_all_formats_below_it(self, tmp_path: Path) -> None:
        write(tmp_path, "b.cnf", "a.cnf.xz", "deep/c.smt2.gz", "d.CNF", "notes.txt", "expected.csv", "e.cnf.bak")
        assert found(tmp_path) == ["a.cnf.xz", "b.cnf", "d.CNF", "deep/c.smt2.gz"]

    def test_what_is_named_twice_is_there_once(self, tmp_path: Path) -> None:
        write(tmp_path, "a.cnf", "b.cnf")
        assert found(tmp_path / "b.cnf", tmp_path) == ["b.cnf", "a.cnf"]

    def test_problems_of_the_same_name_are_told_apart_by_their_folders(self, tmp_path: Path) -> None:
        write(tmp_path, "x/a.cnf", "y/a.cnf", "y/b.cnf")
        assert found(tmp_path / "x", tmp_path / "y") == ["x/a.cnf", "y/a.cnf", "b.cnf"]

    def test_no_two_problems_have_the_same_name(self, bucket: str, tmp_path: Path) -> None:
        write(tmp_path, "s/a/x.cnf", "s/b/x.cnf", "q/a/x.cnf")
        assert found(tmp_path / "s" / "a", tmp_path / "s" / "b", tmp_path / "q") == ["s/a/x.cnf", "b/x.cnf", "a/x.cnf"]
        put("x.cnf", "y/x.cnf")
        words = ("s3://some-bucket/x.cnf", "s3://some-bucket/y/x.cnf", write(tmp_path / "d", "some-bucket/x.cnf"))
        assert found(*words) == ["some-bucket/x.cnf (2)", "y/x.cnf", "some-bucket/x.cnf"]

    def test_names_survive_any_table(self, tmp_path: Path) -> None:
        for name in ("a\rb.cnf", "a\nb.cnf", "a\udcffb.cnf", "é.cnf"):
            (tmp_path / name).write_bytes(b"p cnf 1 1\n1 0\n")
        names = found(tmp_path)
        folder = tmp_path.name
        assert sorted(names) == sorted(
            ["a?b.cnf", "é.cnf", f"{folder}/a b.cnf", f"{tmp_path.parent.name}/{folder}/a b.cnf"]
        )

    def test_a_prefix_in_s3_has_what_is_below_it(self, bucket: str) -> None:
        put("suite/a.cnf", "suite/deep/b.cnf.zst", "suite/readme", "suite2/c.cnf", "d.cnf")
        assert found("s3://some-bucket/suite/") == ["a.cnf", "deep/b.cnf.zst"]
        assert found("s3://some-bucket/d.cnf") == ["d.cnf"]
        assert len(found("s3://some-bucket")) == 4

    def test_a_list_names_files_and_locations_and_other_lists(self, bucket: str, tmp_path: Path) -> None:
        put("suite/a.cnf")
        write(tmp_path, "lists/b.cnf", "c.cnf")
        (tmp_path / "lists" / "all.uri").write_text("# two\nb.cnf\n\n../more.uri\n")
        (tmp_path / "more.uri").write_text("s3://some-bucket/suite/a.cnf\nc.cnf\n")
        assert found(tmp_path / "lists" / "all.uri") == ["b.cnf", "a.cnf", "c.cnf"]

    @pytest.mark.parametrize(
        ("word", "said"),
        [
            ("no/such.cnf", "There is no file or directory no/such.cnf"),
            ("s3://some-bucket/nothing/", "There is no problem at s3://some-bucket/nothing/"),
            ("https://example.org/a.cnf", "Download it first"),
            ("s3://B/a.cnf", "is not a bucket name"),
            ("{}/empty", "There is no problem in"),
            ("{}/notes.txt", "is no problem"),
            ("{}/self.uri", "names itself"),
            ("{}/empty.uri", "is empty"),
            ("{}/wrong.uri", "gone.cnf, which list"),
        ],
    )
    def test_what_names_no_problem_is_told(self, bucket: str, tmp_path: Path, word: str, said: str) -> None:
        (tmp_path / "empty").mkdir()
        write(tmp_path, "notes.txt")
        (tmp_path / "self.uri").write_text("self.uri\n")
        (tmp_path / "empty.uri").write_text("# nothing\n")
        (tmp_path / "wrong.uri").write_text("gone.cnf\n")
        with pytest.raises(UsageError, match=said):
            found(word.format(tmp_path))


class TestUploading:
    def test_the_same_set_again_uploads_nothing(self, bucket: str, tmp_path: Path) -> None:
        write(tmp_path, *(f"{number}.cnf" for number in range(30)))
        first, second = send([tmp_path]), send([tmp_path])
        assert (first.files, second.files) == (30, 0)
        assert first.problems == second.problems

    def test_the_same_content_is_there_once_whatever_its_name(self, bucket: str, tmp_path: Path) -> None:
        for name in ("a.cnf", "b.cnf"):
            (tmp_path / name).write_text("p cnf 1 1\n1 0\n")
        uploaded = send([tmp_path])
        assert uploaded.files == 1
        assert len({problem.location for problem in uploaded.problems}) == 1
        assert len(uploaded.problems) == 2

    def test_what_is_uploaded_is_the_file_under_its_hash_with_its_suffixes(self, bucket: str, tmp_path: Path) -> None:
        write(tmp_path, "A.Cnf.XZ")
        (problem,) = send([tmp_path]).problems
        uri = S3Uri.parse(problem.location)
        body = boto3.client("s3").get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read()
        assert body == (tmp_path / "A.Cnf.XZ").read_bytes()
        assert uri.key.startswith("problems/")
        assert uri.key.endswith(".cnf.xz")

    def test_what_is_in_s3_stays_where_it_is(self, bucket: str) -> None:
        put("suite/a.cnf")
        uploaded = send(["s3://some-bucket/suite/"], {"a.cnf": "SAT"})
        assert uploaded.files == 0
        assert [(p.location, p.expected) for p in uploaded.problems] == [("s3://some-bucket/suite/a.cnf", "SAT")]

    def test_an_empty_file_is_no_problem(self, bucket: str, tmp_path: Path) -> None:
        (tmp_path / "a.cnf").touch()
        with pytest.raises(SatcompError, match=r"a\.cnf is empty"):
            send([tmp_path])


class TestExpected:
    @pytest.mark.parametrize(
        "text",
        [
            "problem,verdict\na.cnf.xz,SAT\n",
            "verdict,problem,known\nsatisfiable,deep/a.cnf,because\n",
            "hash,result\na,sat\n",
            "Problem,Verdict\n/some/where/a.cnf.xz,10\n",
            "\ufeffproblem,verdict\na.cnf.xz,SAT\n",
        ],
    )
    def test_problems_are_known_by_their_names(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "e.csv").write_text(text)
        assert expected_verdicts(tmp_path / "e.csv", ["deep/a.cnf.xz", "b.cnf"]) == {"deep/a.cnf.xz": "SAT"}

    def test_a_problem_is_known_by_the_hash_that_its_name_begins_with(self, tmp_path: Path) -> None:
        digest = "0123456789abcdef" * 2
        (tmp_path / "e.csv").write_text(f"hash,local,result\n{digest},/data/x.cnf,unsat\n{'0' * 32},,unknown\n")
        assert expected_verdicts(tmp_path / "e.csv", [f"{digest}-name.cnf.xz", f"{'0' * 32}.cnf", "x.cnf"]) == {
            f"{digest}-name.cnf.xz": "UNSAT",
            "x.cnf": "UNSAT",
        }

    @pytest.mark.parametrize(
        ("text", "said"),
        [("a.cnf,SAT\n", "no columns"), ("", "no columns"), ("problem,verdict\na,SAT\nb,maybe\n", "line 3: 'maybe'")],
    )
    def test_a_file_that_says_nothing_of_it_is_told(self, tmp_path: Path, text: str, said: str) -> None:
        (tmp_path / "e.csv").write_text(text)
        with pytest.raises(UsageError, match=said):
            expected_verdicts(tmp_path / "e.csv", ["a"])

    @pytest.mark.parametrize(
        ("text", "names", "known"),
        [
            ("problem,verdict\na/x.cnf,sat\n", ["a/x.cnf", "b/x.cnf"], {"a/x.cnf": "SAT"}),
            ("problem,verdict\nx.cnf,sat\n", ["a/x.cnf", "b/x.cnf"], {}),
            ("problem,verdict\na/x.cnf,sat\nb/x.cnf,unsat\n", ["c/x.cnf"], {}),
            ("problem,verdict\na/x.cnf,sat\nb/x.cnf,unknown\n", ["b/x.cnf.xz", "b/x.cnf"], {}),
            ("problem,verdict\nx.cnf,sat\n", ["x.smt2"], {}),
            ("problem,verdict\nx,sat\n", ["x.smt2"], {"x.smt2": "SAT"}),
            ("problem,verdict\nx,sat\n", ["x.smt2", "x.cnf"], {}),
            ("hash,filename,result\n1,x.cnf,sat\n2,x.cnf,unsat\n", ["x.cnf"], {}),
            ("hash,filename,result\n1,/a/x.cnf,sat\n1,/b/x.cnf,sat\n", ["x.cnf"], {"x.cnf": "SAT"}),
        ],
    )
    def test_what_may_mean_another_problem_is_not_taken(
        self, tmp_path: Path, text: str, names: list[str], known: dict[str, str]
    ) -> None:
        (tmp_path / "e.csv").write_text(text)
        assert expected_verdicts(tmp_path / "e.csv", names) == known

    @pytest.mark.parametrize(
        "text", ["problem,verdict\nx,sat\ny,sat\nx,unsat\n", "hash,local,result\nx,/a,sat\ny,/b,sat\nx,/c,unsat\n"]
    )
    def test_a_file_that_contradicts_itself_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "e.csv").write_text(text)
        with pytest.raises(UsageError, match=r"says SAT of 'x' in line 2, and UNSAT in line 4\. Correct"):
            expected_verdicts(tmp_path / "e.csv", ["z"])

    def known(self, *words: Path) -> dict[str, str]:
        return answers(collect([str(word) for word in words], ObjectLister(Aws.connect())), None).verdicts

    def test_each_directory_s_file_speaks_for_its_own_problems(self, tmp_path: Path) -> None:
        write(tmp_path, "x/a.cnf", "y/a.cnf", "y/deep/b.cnf", "z/a.cnf")
        (tmp_path / "x" / "expected.csv").write_text("problem,verdict\na.cnf,SAT\n")
        (tmp_path / "y" / "expected.csv").write_text("problem,verdict\na.cnf,UNSAT\ndeep/b.cnf,SAT\n")
        assert self.known(tmp_path / "x", tmp_path / "y", tmp_path / "z" / "a.cnf") == {
            "x/a.cnf": "SAT",
            "y/a.cnf": "UNSAT",
            "deep/b.cnf": "SAT",
        }
        assert self.known(tmp_path) == {"x/a.cnf": "SAT", "y/a.cnf": "UNSAT", "y/deep/b.cnf": "SAT"}
        assert self.known(tmp_path / "y" / "a.cnf") == {"a.cnf": "UNSAT"}

    def test_two_files_that_contradict_each_other_are_refused(self, tmp_path: Path) -> None:
        write(tmp_path, "x/a.cnf")
        (tmp_path / "x" / "expected.csv").write_text("problem,verdict\na.cnf,SAT\n")
        (tmp_path / "expected.csv").write_text("problem,verdict\nx/a.cnf,UNSAT\n")
        with pytest.raises(UsageError, match=r"x/expected\.csv says SAT of 'x/a\.cnf', and .*/expected\.csv UNSAT"):
            self.known(tmp_path)

    def test_a_file_that_isn_t_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="can't be read"):
            expected_verdicts(tmp_path / "e.csv", [])
