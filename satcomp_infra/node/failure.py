"""How one job fails."""

from ..errors import SatcompError


class JobError(SatcompError):
    """The job can't be done, now or later: its result is an ERROR with this sentence as its reason.

    What may go away by itself (AWS throttles, a connection breaks) is not this: then the job goes back to the queue.
    """


class ProgramError(JobError):
    """A program of the team's can't be started."""
