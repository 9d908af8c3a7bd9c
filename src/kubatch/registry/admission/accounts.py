"""Service accounts: a pod runs as one that exists.

plugin/pkg/admission/serviceaccount/admission.go. The token is not mounted here: the runtime does
that where it can.
"""

from __future__ import annotations

import asyncio

from kubatch.api import errors
from kubatch.api.models import Pod, ServiceAccount
from kubatch.api.resource import SERVICEACCOUNTS
from kubatch.registry.lookup import Lookup

DEFAULT = "default"
# A namespace gets its default account from a controller, in its own time. Nobody makes the others.
# Ten tries of 100 to 200 ms in Kubernetes; here the first come sooner, and take as long in all.
_DELAYS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2)


async def run_as(lookup: Lookup, pod: Pod, name: str) -> None:
    """Give a new pod its account, and what the account adds. Raises ApiError 403."""
    spec, meta = pod.spec, pod.metadata
    if spec is None or meta is None:
        return
    account_name = spec.serviceAccountName or DEFAULT
    spec.serviceAccountName = spec.serviceAccount = account_name
    if not lookup.accounts_required:
        return
    namespace = meta.namespace or ""
    account = await _find(lookup, namespace, account_name)
    if account is None:
        why = (
            f"error looking up service account {namespace}/{account_name}: "
            f'serviceaccount "{account_name}" not found'
        )
        raise errors.forbidden("", "pods", name, why)
    if account.imagePullSecrets and not spec.imagePullSecrets:
        spec.imagePullSecrets = list(account.imagePullSecrets)


async def _find(lookup: Lookup, namespace: str, name: str) -> ServiceAccount | None:
    account = await lookup.find(SERVICEACCOUNTS, namespace, name)
    if account is not None or name != DEFAULT:
        return account
    for delay in _DELAYS:
        await asyncio.sleep(delay)
        account = await lookup.find(SERVICEACCOUNTS, namespace, name)
        if account is not None:
            return account
    return None
