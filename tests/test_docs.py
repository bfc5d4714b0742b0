"""The documentation: what is generated is fresh, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs import build

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("name", build.PAGES)
def test_a_generated_page_is_fresh_whatever_the_terminal_s_width(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "44")
    assert (ROOT / "docs" / name).read_text() == build.PAGES[name](), "type: make docs"


def test_the_reference_has_no_page_of_a_command_that_is_gone() -> None:
    there = {f"reference/{page.name}" for page in (ROOT / "docs" / "reference").iterdir()}
    assert there == {name for name in build.PAGES if name.startswith("reference/")}


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target
