"""The report: one file that needs nothing else, and says what is wrong first."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from satcomp_infra.jobs import Result, Verdict
from satcomp_infra.suites import benchexec, plots, records, report
from satcomp_infra.suites.journal import Run
from satcomp_infra.suites.records import Finished, Problem, Row, Settings
from satcomp_infra.suites.scores import compare

from .rows import row, run

OLD = run("old", row("p", "SAT", 10), row("q", "UNSAT", 20, expected="UNSAT"), row("r", "TIMEOUT", 100))
NEW = run("new", row("p", "SAT", 5), row("q", "SAT", 1, model="missing"), row("r", "SAT", 30))


class Page(HTMLParser):
    """What a browser would fetch, and what it shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and tag != "a" and not (value or "").startswith("#"):
                self.fetched.append(f"{tag} {value}")

    def handle_data(self, data: str) -> None:
        self.text += data


def page(directory: Path) -> Page:
    return Page((directory / report.REPORT).read_text())


def test_it_is_one_file_that_fetches_nothing_and_has_both_pictures(tmp_path: Path) -> None:
    report.write([OLD, NEW], tmp_path)
    shown = page(tmp_path)
    text = (tmp_path / report.REPORT).read_text()
    assert shown.fetched == []
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert shown.tags.count("svg") == 2
    assert "var(--ink)" in text
    for name in ("cactus.svg", "cactus.png", "scatter.svg", "scatter.png"):
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.usefixtures("no_pictures")
def test_wrong_answers_stand_before_the_scores_and_the_run_is_marked(tmp_path: Path) -> None:
    written = report.write([OLD, NEW], tmp_path)
    assert not written.right
    text = page(tmp_path).text
    assert text.index("Wrong or contradicting answers: 1") < text.index("Scores")
    assert "new: a competition would disqualify this solver" in text
    assert written.text().startswith("WRONG OR CONTRADICTING ANSWERS: 1")
    summary = json.loads((tmp_path / report.SUMMARY).read_text())
    assert [score["disqualified"] for score in summary["scores"]] == [False, True, False]
    assert summary["contradictions"][0]["wrong"] == ["new"]
    assert summary["comparison"]["gained"] == ["r"]
    assert summary["comparison"]["lost"] == ["q"]


def test_names_and_reasons_can_t_do_anything_in_the_page(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    report.write([run(evil, row(evil, "ERROR", reason=f'"{evil}', files=f's3://b/{evil}"'))], tmp_path)
    shown = page(tmp_path)
    assert shown.tags.count("script") == 1  # the page's own
    assert evil in shown.text


@pytest.mark.usefixtures("no_pictures")
def test_each_problem_has_a_row_with_a_link_to_its_files(tmp_path: Path) -> None:
    files = "s3://123-bucket/results/id/"
    report.write([run("a", row("p", files=files), row("q", ""))], tmp_path)
    text = (tmp_path / report.REPORT).read_text()
    assert 'href="https://console.aws.amazon.com/s3/buckets/123-bucket?prefix=results%2Fid%2F"' in text
    assert text.count("<tr>") == 1 + 1 + 1 + 2  # scores, and problems


def test_a_run_without_any_solved_problem_has_a_report_too(tmp_path: Path) -> None:
    runs = [run("a", row("p", "TIMEOUT")), run("b", row("p", ""))]
    assert "Neither run has solved" in report.write(runs, tmp_path).text()


def test_runs_without_a_common_problem_are_told(tmp_path: Path) -> None:
    assert "no problem in common" in report.write([run("a", row("p")), run("b", row("q"))], tmp_path).text()


def test_without_matplotlib_all_but_the_pictures_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    written = report.write([OLD], tmp_path)
    assert "pip install" in written.note
    assert "matplotlib is missing" in page(tmp_path).text
    assert not (tmp_path / "cactus.png").exists()


def test_the_same_run_gives_the_same_pictures(tmp_path: Path) -> None:
    for name in ("a", "b"):
        report.write([OLD], tmp_path / name)
    assert (tmp_path / "a" / "cactus.svg").read_bytes() == (tmp_path / "b" / "cactus.svg").read_bytes()


def test_names_of_all_kinds_stand_in_the_legend_and_the_terminal_stays_quiet(tmp_path: Path) -> None:
    report.write([run(name, row("p")) for name in ("_new", "日本", "$x_1$")], tmp_path)  # a warning would be an error
    text = (tmp_path / "cactus.svg").read_text()
    for label in ("_new (1)", "日本 (1)", "$x_1$ (1)"):
        assert f">{label}<" in text


def test_many_runs_can_be_told_apart() -> None:
    figure = plots.cactus(compare([run(str(n), row("p")) for n in range(36)]))
    lines = figure.axes[0].get_lines()[:36]
    assert len({(str(line.get_color()), str(line._dash_pattern)) for line in lines}) == 36  # type: ignore[attr-defined]


def test_times_have_their_zone(tmp_path: Path) -> None:
    settings = Settings("a", "id", created=1e9)
    report.write([Finished("a", (row("p"),), settings)], tmp_path)
    zone = datetime.fromtimestamp(1e9, UTC).astimezone().tzname()
    assert re.search(rf"a: 2001-09-\d\d \d\d:\d\d {zone}, .* Report of [\d-]+ [\d:]+ \w+\.", page(tmp_path).text)


def test_results_survive_their_file(tmp_path: Path) -> None:
    rows = (
        Row(
            'a, "b"\nc',
            "ERROR",
            "SAT",
            1.5,
            2.5,
            300,
            60,
            "not checked: why",
            "10.0.0.1",
            2,
            "id",
            "s3://b/k",
            "f",
            "é",
        ),
        Row("d"),
    )
    records.write_rows(tmp_path / records.RESULTS, rows)
    assert records.read(tmp_path).rows == rows


def test_what_a_solver_says_survives_the_file(tmp_path: Path) -> None:
    result = Result("id", Verdict.ERROR, "", reason="1 %\r2 %\r\ndied\x00\u2028 \udcff", node="a\rb", model="no\r")
    written = [Row.of(Problem("p", "s3://b/k"), result), Row("q")]
    assert (written[0].reason, written[0].node, written[0].model) == ("1 % 2 % died  ?", "a b", "no ")
    records.write_rows(tmp_path / records.RESULTS, written)
    assert list(records.read(tmp_path).rows) == written


def test_a_run_s_files_are_utf_8_wherever_they_are_read(tmp_path: Path) -> None:
    kept = Run(tmp_path, Settings("é", "id"), [Problem("日本.cnf", "s3://b/k")])
    kept.store()
    kept.write_results()
    (tmp_path / records.RUN).write_text('{"name": "é", "id": "id"}', encoding="utf-8")
    code = """if True:
        import sys, pathlib
        from satcomp_infra.suites import journal, records
        path = pathlib.Path(sys.argv[1])
        names = records.read(path).rows[0].problem, journal.Run.open(path).problems[0].name
        assert {ascii(name) for name in names} == {sys.argv[2]}
        assert records.read_settings(path).name == chr(233)
    """
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code, tmp_path, ascii("日本.cnf")], env={**os.environ, **plain}, check=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("problem,verdict\np,SAT\n", "no column 'timeout'"),
        ("problem,verdict,wall,timeout\np,MAYBE,1,2\n", "line 2: 'MAYBE'"),
        ("problem,verdict,wall,timeout\np,SAT,soon,2\n", "line 2: could not convert"),
        ("problem,verdict,wall,timeout\np,SAT,1,2\np,SAT,1,2\n", "several rows for the same problem"),
        ("", "no column"),
    ],
)
def test_a_results_file_that_is_none_is_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / records.RESULTS).write_text(text)
    with pytest.raises(records.UsageError, match=re.escape(said)):
        records.read(tmp_path)


def test_benchexec_s_files_have_names_of_their_own(tmp_path: Path) -> None:
    names = ["α", "β", "a b", "a/b", "A-B", "...", "日本"]
    paths = benchexec.write([run(name, row("p")) for name in names], tmp_path)
    assert [path.name.removesuffix(".results.xml") for path in paths] == [
        "α", "β", "a-b", "a-b-2", "A-B-3", "run", "日本",
    ]  # fmt: skip
    assert [Xml.parse(path).getroot().get("benchmarkname") for path in paths] == names


def test_benchexec_s_format_has_each_result_with_its_category(tmp_path: Path) -> None:
    odd = run("new run", *NEW.rows, row("s", "UNKNOWN"), row("t", "ERROR", reason="bad \x00 <byte>"), row("u", ""))
    old = run("old", *OLD.rows, row("s", "UNKNOWN"), row("t", "UNSAT"), row("u", ""))
    paths = benchexec.write([old, odd], tmp_path)
    assert [path.name for path in paths] == ["old.results.xml", "new-run.results.xml"]
    root = Xml.parse(paths[1]).getroot()
    found = {
        element.get("name"): {column.get("title"): column.get("value") for column in element.iter("column")}
        for element in root.iter("run")
    }
    categories = {name: values["category"] for name, values in found.items()}
    assert categories == {"p": "correct", "q": "wrong", "r": "correct", "s": "unknown", "t": "error"}
    assert found["p"]["status"] == "sat"
    assert found["p"]["walltime"] == "5s"
    assert found["t"]["status"] == "ERROR (bad ? <byte>)"
    assert {
        values["category"]
        for values in [
            {column.get("title"): column.get("value") for column in element.iter("column")}
            for element in Xml.parse(paths[0]).getroot().iter("run")
            if element.get("name") == "t"
        ]
    } == {"missing"}
