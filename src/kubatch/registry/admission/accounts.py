"""Service accounts: a pod runs as one that exists, and has its token as a volume.

plugin/pkg/admission/serviceaccount/admission.go. The node agent writes what the volume holds.
"""

from __future__ import annotations

import asyncio

from msgspec import structs

from kubatch.api import errors
from kubatch.api.models import (
    Container,
    Pod,
    PodSpec,
    ServiceAccount,
    Volume,
    VolumeMount,
    core_v1,
)
from kubatch.api.resource import SERVICEACCOUNTS
from kubatch.registry.lookup import Lookup

DEFAULT = "default"
TOKEN_VOLUME = "kube-api-access-"  # and a random end
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607  # pkg/serviceaccount: WarnOnlyBoundTokenExpirationPeriod
# A namespace gets its default account from a controller, in its own time. Nobody makes the others.
# Ten tries of 100 to 200 ms in Kubernetes; here the first come sooner, and take as long in all.
_DELAYS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2)

# admission.go: TokenVolumeSource. One for all pods: what is stored is never changed in place.
_TOKEN_SOURCE = core_v1.ProjectedVolumeSource(
    defaultMode=0o644,
    sources=[
        core_v1.VolumeProjection(
            serviceAccountToken=core_v1.ServiceAccountTokenProjection(
                path="token", expirationSeconds=TOKEN_SECONDS
            )
        ),
        core_v1.VolumeProjection(
            configMap=core_v1.ConfigMapProjection(
                name="kube-root-ca.crt", items=[core_v1.KeyToPath(key="ca.crt", path="ca.crt")]
            )
        ),
        core_v1.VolumeProjection(
            downwardAPI=core_v1.DownwardAPIProjection(
                items=[
                    core_v1.DownwardAPIVolumeFile(
                        path="namespace",
                        fieldRef=core_v1.ObjectFieldSelector(
                            apiVersion="v1", fieldPath="metadata.namespace"
                        ),
                    )
                ]
            )
        ),
    ],
)


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
    if _automounts(spec, account):
        _mount_token(lookup, spec)
    if account.imagePullSecrets and not spec.imagePullSecrets:
        spec.imagePullSecrets = list(account.imagePullSecrets)


def _automounts(spec: PodSpec, account: ServiceAccount) -> bool:
    """admission.go: shouldAutomount. The pod's own word counts first."""
    said = spec.automountServiceAccountToken
    if said is None:
        said = account.automountServiceAccountToken
    return said is None or said


def _mount_token(lookup: Lookup, spec: PodSpec) -> None:
    """Give every container the token's volume where it says nothing about that path itself."""
    volumes = spec.volumes or []
    known = next((v.name for v in volumes if v.name.startswith(TOKEN_VOLUME)), None)
    name = known or TOKEN_VOLUME + lookup.name_suffix()
    mount = VolumeMount(name=name, readOnly=True, mountPath=TOKEN_PATH)
    needed = False
    for field in ("initContainers", "containers"):
        containers: list[Container] = getattr(spec, field) or []
        mounted = [_with(c, mount) for c in containers]
        if any(new is not old for new, old in zip(mounted, containers, strict=True)):
            setattr(spec, field, mounted)
            needed = True
    if needed and known is None:
        spec.volumes = [*volumes, Volume(name=name, projected=_TOKEN_SOURCE)]


def _with(container: Container, mount: VolumeMount) -> Container:
    mounts = container.volumeMounts or []
    if any(m.mountPath == TOKEN_PATH for m in mounts):
        return container
    return structs.replace(container, volumeMounts=[*mounts, mount])


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
