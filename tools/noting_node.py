"""A node that notes the calls it makes to AWS: `python tools/noting_node.py FILE leader|worker`.

Each call becomes a line of JSON in the file: service, operation, and the parameters that can be written as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from botocore import handlers

from satcomp_infra.node.__main__ import main


def _note(params: dict[str, Any], model: Any, **_: Any) -> None:
    service = model.service_model
    call = {
        "service": service.service_name,
        "prefix": service.signing_name,
        "operation": model.name,
        "parameters": {name: value for name, value in params.items() if isinstance(value, str)},
    }
    with Path(sys.argv[1]).open("a") as file:  # one short write a line: nodes may share the file
        file.write(json.dumps(call) + "\n")


if __name__ == "__main__":
    handlers.BUILTIN_HANDLERS.append(("before-parameter-build", _note))
    sys.exit(main(sys.argv[2:]))
