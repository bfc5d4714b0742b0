"""The map of the package's modules, for architecture.md: the first line of each docstring, in the order of imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "satcomp_infra"
SECTIONS = (
    ("commands", "The commands"),
    ("", "What the commands are made of"),
    ("suites", "Suites of problems"),
    ("node", "The node runtime"),
    ("local", "The local cloud"),
)
"""Subpackages, by the order in which the map has them, and how it calls them; the empty one is the package itself."""


@dataclass(frozen=True)
class Module:
    """A module, by its name within the package, as `node.leader`; that of a package itself is the package's."""

    name: str
    file: Path

    @property
    def section(self) -> str:
        """The subpackage that it is in."""
        return self.name.rpartition(".")[0]

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(self.file.read_text())

    @cached_property
    def imports(self) -> list[tuple[ast.ImportFrom, bool]]:
        """All `from ... import`s, at its start or within a function, and whether each is for type checkers alone."""
        found: list[tuple[ast.ImportFrom, bool]] = []
        left: list[tuple[ast.AST, bool]] = [(self._tree, False)]
        while left:
            node, for_types = left.pop()
            if isinstance(node, ast.ImportFrom):
                found.append((node, for_types))
            elif not isinstance(node, ast.expr):
                for_types = for_types or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
                left += ((inner, for_types) for inner in ast.iter_child_nodes(node))
        return found

    @property
    def purpose(self) -> str:
        """The first line of its docstring. Raises ValueError where it has none."""
        docstring = ast.get_docstring(self._tree)
        if not docstring:
            raise ValueError(f"{self.file} has no docstring")
        return docstring.splitlines()[0]


class Map:
    """All modules of the package, and which imports which."""

    def __init__(self, package: Path = PACKAGE) -> None:
        self._package = package
        self.modules = {module.name: module for module in self._find()}
        self._levels: dict[str, int] = {}
        for name in self.modules:
            self._level(name, ())

    def _find(self) -> Iterator[Module]:
        for file in sorted(self._package.rglob("*.py")):
            parts = file.relative_to(self._package).with_suffix("").parts
            yield Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), file)

    def imports(self, name: str, *, for_types: bool = True) -> set[str]:
        """The package's modules that one imports, at its start or in a function; `for_types`: or for annotations."""
        module, found = self.modules[name], set[str]()
        package = module.name if module.file.name == "__init__.py" else module.section
        for node, only_for_types in module.imports:
            if only_for_types and not for_types:
                continue
            base = self._base(node, package)
            if base is not None:
                inner = (".".join(filter(None, (base, alias.name))) for alias in node.names)
                found.update(each if each in self.modules else base for each in inner)
        return found - {name, ""}

    def _base(self, node: ast.ImportFrom, package: str) -> str | None:
        """The package's module that an import names names of; None where it is of another package."""
        if node.level:
            parents = package.split(".") if package else []
            parents = parents[: len(parents) - node.level + 1]
            return ".".join([*parents, *filter(None, [node.module])])
        name, _, rest = (node.module or "").partition(".")
        return rest if name == self._package.name else None

    def _level(self, name: str, importers: tuple[str, ...]) -> int:
        """How long the longest way down from a module is. Of modules that import each other, the first is above."""
        if name not in self._levels:
            below = (each for each in sorted(self.imports(name, for_types=False)) if each not in importers)
            self._levels[name] = 1 + max((self._level(each, (*importers, name)) for each in below), default=-1)
        return self._levels[name]

    def section(self, name: str) -> list[Module]:
        """The modules of a subpackage without the package itself: each above those that it imports."""
        inside = (module for module in self.modules.values() if module.section == name)
        modules = [module for module in inside if module.name not in _PACKAGES]
        return sorted(modules, key=lambda module: (-self._levels[module.name], module.name))


_PACKAGES = {name for name, _ in SECTIONS}


@cache
def of_the_package() -> Map:
    """That of this project."""
    return Map()


def text() -> str:
    """A table for each subpackage."""
    modules = of_the_package()
    return "\n\n".join(_section(modules, name, title) for name, title in SECTIONS)


def _section(modules: Map, name: str, title: str) -> str:
    path = "/".join(filter(None, (PACKAGE.name, name)))
    lines = [f"### {title}: `{path}/`", "", "| module | what it is |", "|---|---|"]
    for module in modules.section(name):
        link = f"../{PACKAGE.name}/{module.file.relative_to(PACKAGE).as_posix()}"
        purpose = module.purpose.replace("|", r"\|")
        lines.append(f"| [`{module.file.stem}`]({link}) | {purpose} |")
    return "\n".join(lines)
