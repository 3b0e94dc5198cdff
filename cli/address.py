"""The address of the API: whether it is free, how it is called, whether it answers."""

from __future__ import annotations

import contextlib
import errno
import socket
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from cli.errors import Refused, reason

_BACKLOG = 128
"""Connections that wait to be taken, as many as aiohttp lets wait."""


def check_free(host: str, port: int) -> None:
    """Refuses an address that the API could not listen on, before anything is started for it."""
    for bound in _bind(host, port):
        bound.close()


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen there, one for each address of the host; refuses what cannot be had."""
    sockets = _bind(host, port)
    try:
        for one in sockets:
            one.listen(_BACKLOG)
    except OSError as error:
        for one in sockets:
            one.close()
        raise Refused(_taken(host, port, error)) from error
    return sockets


def _bind(host: str, port: int) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Refused(
            f"The host {host} is not known here ({reason(error)}): choose another one with --host."
        ) from error
    with contextlib.ExitStack() as opened:
        sockets = []
        for family, kind, protocol, _name, address in found:
            one = opened.enter_context(socket.socket(family, kind, protocol))
            one.settimeout(0)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                # the host's IPv4 address, where it has one, has a socket of its own
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                one.bind(address)
            except OSError as error:
                raise Refused(_taken(host, port, error)) from error
            sockets.append(one)
        opened.pop_all()
    return sockets


def base_url(host: str, port: int) -> str:
    """How a client on this machine calls the API."""
    here = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def is_ready(url: str) -> bool:
    """Whether /readyz answers 200."""
    address = urlsplit(url)
    with contextlib.suppress(OSError, HTTPException):
        connection = HTTPConnection(address.hostname or "", address.port, timeout=2)
        with contextlib.closing(connection):
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
    return False


def _taken(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is taken, perhaps by another tidemark: stop what runs there, or choose another port "
            'with --port (make run ARGS="--port 8090").'
        )
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}: choose one from 1024 on with --port."
    return f"The API cannot listen on {host} port {port} ({reason(error)}): choose others with --host and --port."
