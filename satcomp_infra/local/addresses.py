"""Addresses for machines: each its own, on this machine, and no other local cloud's."""

from __future__ import annotations

import random
import socket

from ..errors import SatcompError

_RESERVED = "255.254"
_RESERVED_PORT = 47471
"""Whoever listens there has the block; there are others, if some other program does."""


class AddressBlock:
    """127.N.0.0/16 for some N: like all of 127.0.0.0/8, it leads back to this machine.

    Clouds on the same machine have different blocks: their nodes may listen on the same ports.
    """

    def __init__(self) -> None:
        numbers = list(range(1, 255))
        random.shuffle(numbers)
        for number in numbers:
            try:
                self._claim = socket.create_server((f"127.{number}.{_RESERVED}", _RESERVED_PORT))
            except OSError:  # another cloud's
                continue
            self._number = number
            self._taken = {_RESERVED}
            return
        raise SatcompError("There are no free addresses: 254 local clouds run on this machine already.")

    def take(self, private: str) -> str:
        """The address in the block that is most like an instance's private one; its own until it is given back."""
        first, second = (int(part) for part in private.split(".")[2:])
        for step in range(1 << 16):
            place = ((first << 8) + second + step) % (1 << 16)
            ending = f"{place >> 8}.{place & 255}"
            if ending not in self._taken:
                self._taken.add(ending)
                return f"127.{self._number}.{ending}"
        raise SatcompError("All addresses of the local cloud are in use.")

    def give_back(self, address: str) -> None:
        """Another instance may have it now."""
        self._taken.discard(".".join(address.split(".")[2:]))

    def close(self) -> None:
        """Let another cloud have the block."""
        self._claim.close()
