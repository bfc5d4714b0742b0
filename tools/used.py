"""Run a command, and write what it used into a file, as JSON: seconds of CPU time, and MiB at the peak.

    python -S used.py FILE COMMAND ARGUMENT ...

Linux counts the memory of whoever starts a process as that process's own peak, too: so the one that starts it is small.
"""

import json
import os
import signal
import sys


def main() -> int:
    """Returns the command's exit code."""
    file, *command = sys.argv[1:]
    child = os.posix_spawn(command[0], command, os.environ)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    _, status, usage = os.wait4(child, 0)
    with open(file, "w") as output:  # noqa: PTH123  # pathlib is not small
        json.dump({"cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}, output)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
