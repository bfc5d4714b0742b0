"""Infrastructure for the parallel and cloud tracks of the SAT and SMT competitions, on AWS and on one machine."""

import sys

__version__ = "0.1.0"

# Here, because an older Python can't even read some of the other modules.
if sys.version_info < (3, 11):  # noqa: UP036 - the root commands run under whatever python3 is first on the PATH
    sys.exit(
        "Python %d.%d is too old: Python 3.11 or later is needed. " % sys.version_info[:2]  # noqa: UP031
        + "In the project's folder, type 'make .venv' and then 'source .venv/bin/activate'."
    )
