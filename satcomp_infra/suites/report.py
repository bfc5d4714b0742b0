"""The report of one run or several: report.html, one file that needs nothing else, summary.json, and the pictures."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..units import count
from . import plots
from .compare import Paired, paired
from .scores import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2

    from .records import Finished, Row
    from .scores import Comparison

REPORT, SUMMARY = "report.html", "summary.json"
_TEMPLATES = Path(__file__).parents[2] / "templates"
_DETAILS = (("CPU (s)", False), ("MiB", False), ("model", True), ("node", True), ("attempt", False))


@dataclass(frozen=True)
class Report:
    """What was written, and what was found: `right` is false where an answer is wrong or contradicts another."""

    directory: Path
    comparison: Comparison
    pair: Paired | None
    note: str
    """Why there are no pictures, if there are none."""

    @property
    def right(self) -> bool:
        """Whether no answer is wrong, and none contradicts another."""
        return not self.comparison.contradictions

    def text(self) -> str:
        """The score table and what was found, for a terminal: wrong answers first."""
        lines = []
        if self.comparison.contradictions:
            lines.append(f"WRONG OR CONTRADICTING ANSWERS: {len(self.comparison.contradictions)}")
            lines += [f"  {found.problem}: {found.text}" for found in self.comparison.contradictions[:10]]
            more = len(self.comparison.contradictions) - 10
            lines += [f"  and {more} more, see {REPORT}"] if more > 0 else []
            lines += [
                f"  {score.name}: a competition would disqualify this solver."
                for score in self.comparison.scores
                if score.disqualified
            ]
            lines.append("")
        lines += [f"Note: {note}" for note in self.comparison.notes]
        lines += _table(self.comparison)
        if self.pair:
            lines += ["", *self.pair.sentences(*self.comparison.names[:2])]
        return "\n".join(lines)


def write(runs: Sequence[Finished], directory: Path) -> Report:
    """Compare the runs, and write all files of the report into the directory."""
    comparison = compare(runs)
    pair = paired(comparison) if len(runs) == 2 and comparison.problems else None
    directory.mkdir(parents=True, exist_ok=True)
    note = plots.missing()
    pictures = [] if note else _pictures(comparison, directory)
    _write_summary(comparison, pair, directory / SUMMARY)
    _write_page(runs, comparison, pair, pictures, note, directory / REPORT)
    return Report(directory, comparison, pair, note)


def _pictures(comparison: Comparison, directory: Path) -> list[dict[str, str]]:
    """Draw the pictures, store them as files, and return them for the page."""
    drawn = [("cactus", plots.cactus(comparison), "How many problems are solved if each gets so much time.")]
    if len(comparison.names) == 2:
        caption = "Each problem's two times. Below the diagonal the second run is faster; the edges are unsolved."
        drawn.append(("scatter", plots.scatter(comparison), caption))
    for name, figure, _ in drawn:
        for suffix in (".svg", ".png"):
            plots.save(figure, directory / f"{name}{suffix}")
    return [{"svg": plots.inline_svg(figure, f"{name} plot"), "caption": caption} for name, figure, caption in drawn]


def _write_summary(comparison: Comparison, pair: Paired | None, path: Path) -> None:
    summary: dict[str, Any] = {
        "problems": len(comparison.problems),
        "scores": [{**asdict(score), "disqualified": score.disqualified} for score in comparison.scores],
        "contradictions": [
            {
                "problem": found.problem,
                "text": found.text,
                "wrong": [comparison.names[run] for run in sorted(found.wrong)],
            }
            for found in comparison.contradictions
        ],
        "notes": list(comparison.notes),
    }
    if pair:
        summary["comparison"] = {
            "first": comparison.names[0],
            "second": comparison.names[1],
            "gained": [comparison.problems[place] for place in pair.gained],
            "lost": [comparison.problems[place] for place in pair.lost],
            "time_factor": pair.factor,
            "p_solved": pair.p_solved,
            "p_time": pair.p_time,
        }
    path.write_text(json.dumps(summary, indent=2) + "\n")


def _write_page(
    runs: Sequence[Finished],
    comparison: Comparison,
    pair: Paired | None,
    pictures: list[dict[str, str]],
    note: str,
    path: Path,
) -> None:
    detailed = len(runs) == 1  # of several, so much beside each other can't be read
    regions = [run.settings.region if run.settings else "" for run in runs]
    wrong = {(found.problem, run) for found in comparison.contradictions for run in found.wrong | found.unsure}

    def colour(problem: int, run: int) -> str:
        row = comparison.rows[problem][run]
        if (row.problem, run) in wrong or row.verdict == "ERROR":
            return " bad"
        return " good" if row.answered else ""

    columns = [("verdict", True), ("wall (s)", False), *(_DETAILS if detailed else ()), ("files", True)]
    page = (
        _environment()
        .get_template("report.html.j2")
        .stream(
            title=" and ".join(comparison.names) if len(runs) <= 3 else f"{len(runs)} runs",
            subtitle=_subtitle(runs),
            comparison=comparison,
            scores=comparison.scores,
            pair=pair,
            pictures=pictures,
            no_pictures=note,
            columns=[{"title": title, "text": text} for title, text in columns],
            detailed=detailed,
            outcome=_outcome,
            expected=lambda rows: next((row.expected for row in rows if row.expected), ""),
            colour=colour,
            link=lambda row, run: _console_page(row, regions[run]),
        )
    )
    page.enable_buffering(200)
    page.dump(str(path), "utf-8", "replace")


@cache
def _environment() -> jinja2.Environment:
    """Jinja's, which keeps what it has compiled."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _subtitle(runs: Sequence[Finished]) -> str:
    made = f"Report of {datetime.now(UTC).astimezone():%Y-%m-%d %H:%M %Z}."
    parts = []
    for run in runs:
        settings = run.settings
        if settings:
            options = f", solver arguments {' '.join(settings.solver_options)}" if settings.solver_options else ""
            at = datetime.fromtimestamp(settings.created, UTC).astimezone()
            parts.append(f"{run.name}: {at:%Y-%m-%d %H:%M %Z}, {count(settings.workers, 'worker')}{options}.")
    return " ".join([*parts, made])


def _outcome(row: Row) -> str:
    if row.model.startswith("wrong"):
        return "a wrong model"
    return f"{row.verdict} in {row.wall:.2f} s" if row.answered else row.verdict or "missing"


def _console_page(row: Row, region: str) -> str:
    """Where the AWS console shows a run's files (whoever opens it has to be logged in)."""
    match = re.fullmatch(r"s3://([^/]+)/(.+)", row.files)
    if not match:
        return ""
    bucket, prefix = match.groups()
    where = f"region={region}&" if region else ""
    return f"https://console.aws.amazon.com/s3/buckets/{quote(bucket)}?{where}prefix={quote(prefix, safe='')}"


_TABLE = (("wrong", "wrong"), ("errors", "errors"), ("solved", "solved"), ("SAT", "sat"), ("UNSAT", "unsat"))


def _table(comparison: Comparison) -> list[str]:
    """The score table, within 80 columns for names of up to 24."""
    scores = comparison.scores
    width = min(max(len(score.name) for score in scores), 24)
    lines = [f"{'run':<{width}}" + "".join(f"{title:>8}" for title, _ in _TABLE) + f"{'PAR-2':>10}"]
    for score in scores:
        numbers = "".join(f"{getattr(score, name):>8}" for _, name in _TABLE)
        lines.append(f"{score.name[:width]:<{width}}{numbers}{score.par2:>10.2f}")
    lines.append(f"{count(len(comparison.problems), 'problem')}; PAR-2 in seconds, the mean per problem")
    return lines
