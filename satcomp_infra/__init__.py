"""Infrastructure for the parallel and cloud tracks of the SAT and SMT competitions, on AWS and on one machine."""

__version__ = "0.1.0"
