"""What files a volume holds: keys of ConfigMaps and Secrets, fields of the pod, tokens. Pure.

pkg/volume/configmap, secret, downwardapi and projected; the rules and messages are theirs.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kubatch.agent.env import EnvError, PodContext, Sources, field_value, resource_value
from kubatch.api import models as m
from kubatch.api.fields import quote
from kubatch.api.models import core_v1

DEFAULT_MODE = 0o644
TOKEN_SECONDS = 3600
_WHOLE_MAPS = ("metadata.labels", "metadata.annotations")


class VolumeError(Exception):
    """A volume cannot be set up; the text is what the kubelet says."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a volume."""

    content: bytes
    mode: int
    user: int | None = None  # whose it is, where we may give it away


Files = Mapping[str, File]  # by path below the volume's root


@dataclass(frozen=True, slots=True)
class TokenWanted:
    """A token that a projected volume asks for."""

    audience: str  # "": the API's own
    seconds: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that volumes of one pod are made from, as far as it exists."""

    pod: m.Pod
    context: PodContext
    sources: Sources = field(default_factory=Sources)
    tokens: Mapping[TokenWanted, str] = field(default_factory=dict)


def config_maps(volume: m.Volume) -> tuple[str, ...]:
    """The ConfigMaps a volume is made from."""
    own = (volume.configMap,)
    found = [*own, *(part.configMap for part in _parts(volume))]
    return tuple(source.name or "" for source in found if source is not None)


def secrets(volume: m.Volume) -> tuple[str, ...]:
    """The Secrets a volume is made from."""
    found = [part.secret.name or "" for part in _parts(volume) if part.secret is not None]
    if volume.secret is not None:
        found.append(volume.secret.secretName or "")
    return tuple(found)


def tokens(volume: m.Volume) -> tuple[TokenWanted, ...]:
    """The tokens a volume asks for."""
    return tuple(
        wanted(part.serviceAccountToken)
        for part in _parts(volume)
        if part.serviceAccountToken is not None
    )


def wanted(source: core_v1.ServiceAccountTokenProjection) -> TokenWanted:
    """The token of one projection."""
    return TokenWanted(source.audience or "", source.expirationSeconds or TOKEN_SECONDS)


def made_of_files(volume: m.Volume) -> bool:
    """Whether the volume's content is ours to write."""
    sources = (volume.configMap, volume.secret, volume.downwardAPI, volume.projected)
    return any(source is not None for source in sources)


def is_secret(volume: m.Volume) -> bool:
    """Whether what the volume holds should not be on a disk."""
    return bool(volume.secret is not None or secrets(volume) or tokens(volume))


def files_of(volume: m.Volume, inputs: Inputs) -> Files:
    """The content of a configMap, secret, downwardAPI or projected volume. Raises VolumeError."""
    if volume.configMap is not None:
        mode = _mode(volume.configMap.defaultMode)
        return _config_map(volume.configMap, mode, inputs)
    if volume.secret is not None:
        source = volume.secret
        mode = _mode(source.defaultMode)
        name = source.secretName or ""
        return _secret(name, source.items, bool(source.optional), mode, inputs)
    if volume.downwardAPI is not None:
        mode = _mode(volume.downwardAPI.defaultMode)
        return _downward(volume.downwardAPI.items or (), mode, inputs)
    assert volume.projected is not None
    return _projected(volume.projected, inputs)


def _parts(volume: m.Volume) -> Sequence[core_v1.VolumeProjection]:
    return () if volume.projected is None else volume.projected.sources or ()


def _mode(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode


def _config_map(
    source: core_v1.ConfigMapVolumeSource | core_v1.ConfigMapProjection, mode: int, inputs: Inputs
) -> Files:
    name = source.name or ""
    found = inputs.sources.config_maps.get(name)
    if found is None and not source.optional:
        raise VolumeError(f'configmap "{name}" not found')
    data = {key: text.encode() for key, text in ((found and found.data) or {}).items()}
    for key, text in ((found and found.binaryData) or {}).items():
        data[key] = base64.b64decode(text)
    missing = "configmap references non-existent config key: {}"
    return _chosen(data, source.items, bool(source.optional), mode, missing)


def _secret(
    name: str, items: Sequence[core_v1.KeyToPath] | None, optional: bool, mode: int, inputs: Inputs
) -> Files:
    found = inputs.sources.secrets.get(name)
    if found is None and not optional:
        raise VolumeError(f'secret "{name}" not found')
    encoded = ((found and found.data) or {}).items()
    data = {key: base64.b64decode(text) for key, text in encoded}
    return _chosen(data, items, optional, mode, "references non-existent secret key: {}")


def _chosen(
    data: Mapping[str, bytes],
    items: Sequence[core_v1.KeyToPath] | None,
    optional: bool,
    mode: int,
    missing: str,
) -> Files:
    """All keys, or those that items name, at their paths (configmap.go: MakePayload)."""
    if not items:
        return {key: File(content, mode) for key, content in data.items()}
    files = {}
    for item in items:
        if item.key in data:
            files[item.path] = File(data[item.key], mode if item.mode is None else item.mode)
        elif not optional:
            raise VolumeError(missing.format(item.key))
    return files


def _downward(items: Sequence[core_v1.DownwardAPIVolumeFile], mode: int, inputs: Inputs) -> Files:
    """downwardapi.go: CollectData."""
    files = {}
    for item in items:
        try:
            text = _downward_text(item, inputs)
        except EnvError as error:
            raise VolumeError(str(error)) from error
        content = text.encode("utf-8", "surrogateescape")
        files[item.path] = File(content, mode if item.mode is None else item.mode)
    return files


def _downward_text(item: core_v1.DownwardAPIVolumeFile, inputs: Inputs) -> str:
    assert inputs.pod.spec is not None
    if item.resourceFieldRef is not None:
        first = inputs.pod.spec.containers[0]
        return resource_value(inputs.pod, first, item.resourceFieldRef, inputs.context)
    path = item.fieldRef.fieldPath if item.fieldRef is not None else ""
    if path not in _WHOLE_MAPS:
        return field_value(inputs.pod, path, inputs.context)
    values = getattr(inputs.pod.metadata, path.partition(".")[2]) or {}
    # pkg/fieldpath/fieldpath.go: FormatMap
    return "\n".join(f"{key}={quote(value)}" for key, value in sorted(values.items()))


def _projected(source: core_v1.ProjectedVolumeSource, inputs: Inputs) -> Files:
    """projected.go: collectData. All that is missing is told at once."""
    mode = _mode(source.defaultMode)
    files: dict[str, File] = {}
    problems: list[str] = []
    for part in source.sources or ():
        try:
            files.update(_part(part, mode, inputs))
        except VolumeError as error:
            problems.append(str(error))
    if problems:
        unique = list(dict.fromkeys(problems))
        raise VolumeError(unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]")
    return files


def _part(part: core_v1.VolumeProjection, mode: int, inputs: Inputs) -> Files:
    if part.configMap is not None:
        return _config_map(part.configMap, mode, inputs)
    if part.secret is not None:
        secret = part.secret
        return _secret(secret.name or "", secret.items, bool(secret.optional), mode, inputs)
    if part.downwardAPI is not None:
        return _downward(part.downwardAPI.items or (), mode, inputs)
    if part.serviceAccountToken is not None:
        token = inputs.tokens.get(wanted(part.serviceAccountToken))
        if token is None:
            raise VolumeError("failed to fetch token: this cluster issues no tokens")
        return {part.serviceAccountToken.path: _token_file(token.encode(), mode, inputs.pod)}
    kind = "clusterTrustBundle" if part.clusterTrustBundle is not None else "podCertificate"
    raise VolumeError(f"a projected volume cannot have a {kind} here")


def _token_file(token: bytes, mode: int, pod: m.Pod) -> File:
    """Only for its user, where there is one (projected.go: collectData; util.FsUserFrom)."""
    assert pod.spec is not None
    security = pod.spec.securityContext
    users = {_user(c, security) for c in (*(pod.spec.initContainers or ()), *pod.spec.containers)}
    user = users.pop() if len(users) == 1 else None
    by_group = security is not None and security.fsGroup is not None
    return File(token, mode if user is None and not by_group else 0o600, user)


def _user(container: m.Container, of_pod: m.PodSecurityContext | None) -> int | None:
    own = container.securityContext
    if own is not None and own.runAsUser is not None:
        return own.runAsUser
    return of_pod.runAsUser if of_pod is not None else None
