"""What a pod's author should hear, though it is allowed (pkg/api/pod/warnings.go)."""

from __future__ import annotations

from kubatch.api import quantity
from kubatch.api.models import Container, PodSpec
from kubatch.registry.metadata import dns_label_errors


def name_warning(name: str, used_in: str) -> list[str]:
    """A name that is no DNS label makes odd host names."""
    errors = dns_label_errors(name)
    if not errors:
        return []
    listed = " ".join(errors)
    return [
        f"metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS "
        f"label is recommended: [{listed}]"
    ]


def spec_warnings(spec: PodSpec, path: str) -> list[str]:
    """Warnings about a pod spec, of a pod or a template."""
    out: list[str] = []
    grace = spec.terminationGracePeriodSeconds
    if grace is not None and grace < 0:
        out.append(
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and "
            "will be treated as 1"
        )
    for i, secret in enumerate(spec.imagePullSecrets or ()):
        if not secret.name:
            out.append(f'{path}.imagePullSecrets[{i}].name: invalid empty name ""')
    for i, c in enumerate(spec.initContainers or ()):
        _container(c, f"{path}.initContainers[{i}]", out)
    for i, c in enumerate(spec.containers):
        _container(c, f"{path}.containers[{i}]", out)
    return out


def _container(c: Container, path: str, out: list[str]) -> None:
    if c.resources is not None:
        for kind, amounts in (("limits", c.resources.limits), ("requests", c.resources.requests)):
            for name in ("memory", "ephemeral-storage"):
                text = (amounts or {}).get(name)
                if text is not None and quantity.parse(text) % 1:
                    out.append(
                        f'{path}.resources.{kind}[{name}]: fractional byte value "{text}" is '
                        "invalid, must be an integer"
                    )
    if not c.env or len(c.env) < 2:
        return
    seen: set[str] = set()
    for i, var in enumerate(c.env):
        # A repeated name is fine when its value builds on the one before: $(NAME).
        if var.name in seen and f"$({var.name})" not in (var.value or ""):
            out.append(
                f'{path}.env[{i}]: hides previous definition of "{var.name}", which may be '
                "dropped when using apply"
            )
        seen.add(var.name)
