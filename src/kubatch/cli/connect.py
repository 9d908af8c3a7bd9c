"""From --kubeconfig and --context to a client."""

from __future__ import annotations

import os

from kubatch import __version__
from kubatch.cli.main import Refused
from kubatch.client import kubeconfig
from kubatch.client.http import HttpClient
from kubatch.client.kubeconfig import BadKubeconfig, Endpoint
from kubatch.world import World


def endpoint(path: str | None, context: str = "") -> Endpoint:
    """The server meant: by a file, by the environment, or by the pod this runs in.

    Raises Refused.
    """
    try:
        found = kubeconfig.find(path, os.environ)
        if found is not None:
            return kubeconfig.read(found, context)
    except BadKubeconfig as error:
        raise Refused(str(error)) from None
    inside = kubeconfig.of_pod(os.environ)
    if inside is None:
        raise Refused("no kubeconfig: name one with --kubeconfig or in the variable KUBECONFIG")
    return inside


def client(where: Endpoint, world: World, purpose: str) -> HttpClient:
    """A client that says who it is."""
    return HttpClient(where, world, f"kubatch/{__version__} {purpose}")
