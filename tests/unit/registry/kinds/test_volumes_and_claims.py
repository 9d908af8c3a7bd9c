"""PersistentVolumes and PersistentVolumeClaims."""

from __future__ import annotations

from typing import Any

import pytest

from kubatch.api import codec
from kubatch.api.resource import PERSISTENTVOLUMECLAIMS as CLAIMS
from kubatch.api.resource import PERSISTENTVOLUMES as VOLUMES
from tests.unit.registry.kinds.making import (
    NOW,
    create_errors,
    created,
    decode,
    merged,
    rules,
    status_errors,
    update_errors,
)

VOLUME: dict[str, Any] = {
    "metadata": {"name": "v"},
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/data"},
    },
}
CLAIM: dict[str, Any] = {
    "metadata": {"name": "c"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def volume(**spec: Any) -> dict[str, Any]:
    return merged(VOLUME, {"spec": spec})


def claim(**spec: Any) -> dict[str, Any]:
    return merged(CLAIM, {"spec": spec})


def changed(resource: Any, old: Any, change: dict[str, Any]) -> list[str]:
    new = decode(resource, merged(codec.to_dict(resource, old), change))
    return update_errors(resource, new, old)


MODES = (
    'spec.accessModes: Unsupported value: "Some": supported values: "ReadOnlyMany", '
    '"ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'
)


def test_the_simplest_volume() -> None:
    shown = codec.to_dict(VOLUMES, created(VOLUMES, VOLUME))
    assert shown["spec"] == {
        **VOLUME["spec"],
        "hostPath": {"path": "/data", "type": ""},
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
    }
    assert shown["status"] == {
        "phase": "Pending",
        "lastPhaseTransitionTime": "2026-05-01T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        (
            {"capacity": None, "accessModes": None, "hostPath": None},
            [
                "spec.accessModes: Required value",
                "spec.capacity: Required value",
                'spec.capacity: Unsupported value: {}: supported values: "storage"',
                "spec: Required value: must specify a volume type",
            ],
        ),
        ({"accessModes": ["Some"]}, [MODES]),
        (
            {"accessModes": ["ReadWriteOncePod", "ReadWriteMany"]},
            ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
        ),
        (
            {"capacity": {"storage": "0"}},
            ['spec.capacity[storage]: Invalid value: "0": must be greater than zero'],
        ),
        (
            {"persistentVolumeReclaimPolicy": "Burn", "volumeMode": "Tape"},
            [
                'spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": supported values: '
                '"Delete", "Recycle", "Retain"',
                'spec.volumeMode: Unsupported value: "Tape": supported values: "Block", '
                '"Filesystem"',
            ],
        ),
        (
            {"nfs": {"server": "", "path": "/"}},
            [
                "spec.nfs: Forbidden: may not specify more than 1 volume type",
                "spec.nfs.server: Required value",
            ],
        ),
        (
            {"hostPath": {"path": "/../etc"}},
            ["spec.hostPath.path: Invalid value: \"/../etc\": must not contain '..'"],
        ),
        (
            {"hostPath": {"path": "/"}, "persistentVolumeReclaimPolicy": "Recycle"},
            [
                "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a "
                "hostPath mount of '/'"
            ],
        ),
        (
            {"hostPath": None, "local": {"path": "/mnt"}},
            ["spec.nodeAffinity: Required value: Local volume requires node affinity"],
        ),
        (
            {"nodeAffinity": {}},
            ["spec.nodeAffinity.required: Required value: must specify required node constraints"],
        ),
        (
            {"volumeAttributesClassName": "gold"},
            ["spec.csi: Required value: has to be specified when using volumeAttributesClassName"],
        ),
    ],
)
def test_volumes_refused(spec: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(VOLUMES, volume(**spec)) == errors


def test_what_of_a_volume_may_not_change() -> None:
    old = created(VOLUMES, VOLUME)
    assert changed(VOLUMES, old, {"spec": {"hostPath": {"path": "/other"}}}) == [
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after "
        'creation\n- spec.hostPath.path: "/data"\n+ spec.hostPath.path: "/other"'
    ]
    assert changed(VOLUMES, old, {"spec": {"volumeMode": "Block"}}) == [
        'volumeMode: Invalid value: "Block": field is immutable'
    ]
    assert changed(VOLUMES, old, {"spec": {"capacity": {"storage": "2Gi"}}}) == []


def test_volumes_in_a_table() -> None:
    made = created(VOLUMES, volume(claimRef={"namespace": "a", "name": "b"}))
    assert list(rules(VOLUMES).row(made, NOW).cells) == [
        "v", "1Gi", "RWO", "Retain", "Pending", "a/b", "", "<unset>", "", "0s", "Filesystem",
    ]  # fmt: skip


# ----- claims


def test_the_simplest_claim() -> None:
    shown = codec.to_dict(CLAIMS, created(CLAIMS, CLAIM))
    assert shown["spec"] == {**CLAIM["spec"], "volumeMode": "Filesystem"}
    assert shown["status"] == {"phase": "Pending"}


@pytest.mark.parametrize(
    ("spec", "both"),
    [
        ({"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}, "dataSourceRef"),
        ({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "x"}}, "dataSource"),
    ],
)
def test_either_data_source_means_both(spec: dict[str, Any], both: str) -> None:
    shown = codec.to_dict(CLAIMS, created(CLAIMS, claim(**spec)))
    assert shown["spec"][both] == {"kind": "PersistentVolumeClaim", "name": "x"}


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        (
            {"accessModes": None, "resources": None},
            [
                "spec.accessModes: Required value: at least 1 access mode is required",
                "spec.resources[storage]: Required value",
            ],
        ),
        (
            {"accessModes": ["Some"], "resources": {"requests": {"storage": "0"}}},
            [MODES, 'spec.resources[storage]: Invalid value: "0": must be greater than zero'],
        ),
        (
            {"volumeMode": "Tape"},
            ['spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"'],
        ),
        (
            {"dataSource": {"kind": "Disk", "name": ""}},
            [
                "spec.dataSource.name: Required value",
                "spec.dataSource: Invalid value: \"Disk\": must be 'PersistentVolumeClaim' when "
                "referencing the default apiGroup",
                "spec.dataSourceRef.name: Required value",
                "spec.dataSourceRef: Invalid value: \"Disk\": must be 'PersistentVolumeClaim' when "
                "referencing the default apiGroup",
            ],
        ),
        (
            {
                "dataSource": {"kind": "PersistentVolumeClaim", "name": "a"},
                "dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "b"},
            },
            ['spec: Invalid value: "spec.dataSource": must match dataSourceRef'],
        ),
    ],
)
def test_claims_refused(spec: dict[str, Any], errors: list[str]) -> None:
    assert create_errors(CLAIMS, claim(**spec)) == errors


FIXED = (
    "spec: Forbidden: spec is immutable after creation except resources.requests and "
    "volumeAttributesClassName for bound claims\n"
)
BOUND = {"phase": "Bound", "capacity": {"storage": "1Gi"}}


@pytest.mark.parametrize(
    ("status", "spec", "errors"),
    [
        ({}, {"volumeName": "v"}, []),
        ({}, {"storageClassName": "fast"}, []),
        (
            {},
            {"accessModes": ["ReadWriteMany"]},
            [f'{FIXED}- spec.accessModes[0]: "ReadWriteOnce"\n+ spec.accessModes[0]: '
             '"ReadWriteMany"'],
        ),
        (
            {},
            {"resources": {"requests": {"storage": "2Gi"}}},
            [f'{FIXED}- spec.resources.requests.storage: "1Gi"\n+ spec.resources.requests.storage: '
             '"2Gi"'],
        ),
        (BOUND, {"resources": {"requests": {"storage": "2Gi"}}}, []),
        (
            BOUND,
            {"resources": {"requests": {"storage": "1Mi"}}},
            [
                "spec.resources.requests.storage: Forbidden: field can not be less than "
                "status.capacity"
            ],
        ),
    ],
)  # fmt: skip
def test_what_of_a_claim_may_change(
    status: dict[str, Any], spec: dict[str, Any], errors: list[str]
) -> None:
    first = codec.to_dict(CLAIMS, created(CLAIMS, CLAIM))
    old = decode(CLAIMS, merged(first, {"status": status}))
    assert changed(CLAIMS, old, {"spec": spec}) == errors


def test_the_status_of_a_claim() -> None:
    old = created(CLAIMS, CLAIM)
    status = {"phase": "Bound", "capacity": {"storage": "-1"}, "accessModes": ["ReadWriteOnce"]}
    new = decode(CLAIMS, merged(codec.to_dict(CLAIMS, old), {"status": status}))
    assert status_errors(CLAIMS, new, old) == [
        "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity"
    ]


def test_claims_in_a_table() -> None:
    made = created(CLAIMS, CLAIM)
    assert list(rules(CLAIMS).row(made, NOW).cells) == [
        "c", "Pending", "", "", "", "", "<unset>", "0s", "Filesystem",
    ]  # fmt: skip
    body = merged(codec.to_dict(CLAIMS, made), {"spec": {"volumeName": "v"}, "status": BOUND})
    bound = decode(CLAIMS, merged(body, {"status": {"accessModes": ["ReadWriteMany"]}}))
    assert list(rules(CLAIMS).row(bound, NOW).cells)[1:5] == ["Bound", "v", "1Gi", "RWX"]
