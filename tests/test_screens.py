"""The pictures in docs/screens: those of the list, all of them, and each in need of nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools import screens
from tools.pictures import svg

FILES = sorted(screens.FOLDER.glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
LARGEST = 40_000


def test_there_is_a_picture_for_each_of_the_list_and_no_other() -> None:
    assert sorted(file.stem for file in FILES) == sorted(picture.name for picture in screens.PICTURES)


def test_each_of_the_list_is_taken_by_a_story() -> None:
    stories = Path(screens.__file__).read_text().partition("class Photographer")[2]
    for picture in screens.PICTURES:
        assert f'"{picture.name}"' in stories


def test_the_index_is_that_of_the_list() -> None:
    assert (screens.FOLDER / "README.md").read_text() == screens.index()


def test_each_names_a_command_that_there_is() -> None:
    for picture in screens.PICTURES:
        assert (screens.ROOT / picture.typed).is_file()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_picture_needs_nothing_else_and_is_small(file: Path) -> None:
    text = file.read_text()
    assert len(text) < LARGEST
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {SVG.strip("{}")}
    assert "@font-face" not in text
    assert "<script" not in text
    root = ElementTree.fromstring(text)
    assert root.findtext(f"{SVG}title", "").startswith("./")
    shown = "".join(root.itertext())
    assert "Traceback" not in shown
    assert "$\N{NO-BREAK SPACE}./" in shown  # what was typed is to be seen


def test_a_picture_has_the_screen_s_text_and_colours() -> None:
    drawn = svg("$ ./x\n  \x1b[31mwrong <&>\x1b[0m {0}", "name", "./x {title} <y>")
    root = ElementTree.fromstring(drawn)
    assert root.findtext(f"{SVG}title") == "./x {title} <y>"
    assert "wrong <&>" in "".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ")
    assert "{0}" in "".join(root.itertext())
    assert len(set(re.findall(r"fill: (#\w+)", drawn))) >= 2
