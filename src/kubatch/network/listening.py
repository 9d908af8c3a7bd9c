"""Who listens on which port of this machine, by the kernel's tables in /proc/net. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address

_OPEN = ("0A", "07")  # include/net/tcp_states.h: TCP_LISTEN; and what the table of UDP shows
_FIELDS_MIN = 4


class Taken(Enum):
    """How a port is in use."""

    NOT = "not"
    EVERYWHERE = "everywhere"  # on all addresses: a Service's address leads there by itself
    THERE = "there"  # on one of the addresses asked about


def taken(tables: Iterable[str], port: int, hosts: Iterable[str]) -> Taken:
    """How a port is in use, by the tables of one protocol in both families."""
    wanted = {IPv4Address(host).packed[::-1].hex().upper() for host in hosts if ":" not in host}
    found = Taken.NOT
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if len(fields) < _FIELDS_MIN or fields[3] not in _OPEN:
                continue
            address, _, number = fields[1].partition(":")
            if int(number, 16) != port:
                continue
            if not int(address, 16):
                return Taken.EVERYWHERE
            if address in wanted:
                found = Taken.THERE
    return found
