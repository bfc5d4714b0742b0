"""A terminal of 80 columns by 24 lines with a shell in it, of tmux: what is drawn there can be seen."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
import uuid
from pathlib import Path

COLUMNS, LINES = 80, 24
_ROOT = Path(__file__).parent.parent
_HISTORY = 2000


class Screen:
    """A terminal; its shell has the environment's variables. Close it in the end."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._name = f"test-{uuid.uuid4().hex}"
        self._mark = ""
        usual = {"LANG": "C.UTF-8", "LC_ALL": "", "NO_COLOR": ""}
        settings = {**usual, **environment}.items()
        variables = [word for name, value in settings for word in ("-e", f"{name}={value}")]
        self._tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), *variables, "sh")
        self.type("PS1='$ '; clear")

    def _tmux(self, *words: str) -> str:
        # A server of its own (-L), so that the developer's tmux is left alone.
        return subprocess.run(["tmux", "-L", self._name, *words], capture_output=True, text=True, check=True).stdout

    def type(self, text: str) -> None:
        """Type a line."""
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def press(self, key: str) -> None:
        """Press a key, by tmux's name, as in `C-c`."""
        self._tmux("send-keys", key)

    def command(self, *words: str) -> None:
        """Type one of the project's commands, on an empty screen; its exit code is printed as `code=0`."""
        self._mark = f"=== {uuid.uuid4().hex}"
        command = shlex.join([sys.executable, str(_ROOT / words[0]), *words[1:]])
        self.type(f"clear; echo '{self._mark}'; {command}; echo code=$?")

    def text(self) -> str:
        """All that the last command has shown, lines that were wrapped put together again."""
        shown = self._tmux("capture-pane", "-p", "-J", "-S", f"-{_HISTORY}")
        _, marked, text = f"\n{shown}".rpartition(f"\n{self._mark}\n")
        return text if marked else ""

    def pane(self, *, colours: bool = False, history: bool = False) -> str:
        """What stands on the screen, with the codes that colour it; with `history`, what has left it, too."""
        options = [*(["-e"] if colours else []), *(["-S", f"-{_HISTORY}"] if history else [])]
        return self._tmux("capture-pane", "-p", *options)

    def clear(self) -> None:
        """Nothing stands on the screen then but the prompt."""
        self.type("clear")
        self.wait_on_pane(r"\A\$ ?\n*\Z", history=False)
        self._tmux("clear-history")

    def wait_for(self, pattern: str, seconds: float = 60) -> str:
        """Wait until the last command has shown something, and return all that it has."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, shown := self.text(), re.MULTILINE):
            assert time.monotonic() < deadline, f"{pattern} is not on the screen:\n{shown}"
            time.sleep(0.05)
        return shown

    def wait_on_pane(self, pattern: str, seconds: float = 60, *, history: bool = True) -> None:
        """Wait until something stands on the screen, or with `history` has stood there, whatever was typed."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, shown := self.pane(history=history), re.MULTILINE):
            assert time.monotonic() < deadline, f"{pattern} is not on the screen:\n{shown}"
            time.sleep(0.05)

    def close(self) -> None:
        """End it, and all that runs in it."""
        self._tmux("kill-server")
