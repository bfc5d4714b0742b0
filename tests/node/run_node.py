"""A node as `python -m satcomp_infra.node ROLE` is, with less patience: `run_node.py ROLE '{"kill_grace": 1}'`."""

import json
import sys

from satcomp_infra.node.__main__ import main
from satcomp_infra.node.settings import Timing

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:2], Timing(**json.loads(sys.argv[2]))))
