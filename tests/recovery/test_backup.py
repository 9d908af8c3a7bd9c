"""`kubatch backup` beside a busy server, and a server started from what it saved."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kubernetes import client, config, watch

from kubatch.cli import archive
from kubatch.store.snapshot import RESTORE_BUMP
from tests.kubectl import tools

pytestmark = pytest.mark.slow


def kubatch(*words: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(tools.KUBATCH), *words], capture_output=True, input=stdin)


def core(server: tools.Server) -> Any:
    return client.CoreV1Api(config.new_client_from_config(str(server.kubeconfig)))  # type: ignore[no-untyped-call]


def batch(server: tools.Server) -> Any:
    return client.BatchV1Api(config.new_client_from_config(str(server.kubeconfig)))  # type: ignore[no-untyped-call]


def job(name: str, command: list[str]) -> client.V1Job:
    container = client.V1Container(name="main", image="none", command=command)
    spec = client.V1PodSpec(restart_policy="Never", containers=[container])
    template = client.V1PodTemplateSpec(spec=spec)
    return client.V1Job(
        metadata=client.V1ObjectMeta(name=name),
        spec=client.V1JobSpec(template=template, backoff_limit=3),
    )


class Writer(threading.Thread):
    """Creates config maps one after another, and remembers which were acknowledged."""

    def __init__(self, server: tools.Server) -> None:
        super().__init__(daemon=True)
        self._api = core(server)
        self._stop_asked = threading.Event()
        self.acknowledged: list[str] = []

    def run(self) -> None:
        i = 0
        while not self._stop_asked.is_set():
            meta = client.V1ObjectMeta(name=f"n-{i:05}")
            self._api.create_namespaced_config_map("default", client.V1ConfigMap(metadata=meta))
            self.acknowledged.append(f"n-{i:05}")
            i += 1

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(timeout=30)


def test_backup_beside_a_busy_server_and_restore(tmp_path: Path) -> None:
    saved, new = tmp_path / "saved.kubatch", tmp_path / "new"
    (tmp_path / "old").mkdir()
    with tools.running_server(tmp_path / "old") as old:
        uid = (
            batch(old).create_namespaced_job("default", job("long", ["sleep", "600"])).metadata.uid
        )
        assert tools.eventually(
            lambda: batch(old).read_namespaced_job("long", "default").status.ready == 1
        )
        writer = Writer(old)
        writer.start()
        assert tools.eventually(lambda: len(writer.acknowledged) > 50)
        before = list(writer.acknowledged)
        done = kubatch("backup", str(saved), "--data-dir", str(old.data_dir))
        assert (done.returncode, done.stdout) == (0, b""), done.stderr
        writer.stop()
        last = int(core(old).list_namespaced_config_map("default").metadata.resource_version)
        refused = kubatch("restore", str(saved), "--data-dir", str(old.data_dir))
        assert (refused.returncode, refused.stderr.count(b"\n")) == (2, 1)
    assert saved.stat().st_mode & 0o777 == 0o600
    good = kubatch("restore", "-", "--check", stdin=saved.read_bytes())
    assert good.returncode == 0, good.stderr
    assert b"is good: revision " in good.stderr
    new.mkdir()
    done = kubatch("restore", str(saved), "--data-dir", str(new / "data"))
    assert done.returncode == 0, done.stderr
    assert {p.stat().st_mode & 0o77 for p in (new / "data").rglob("*")} == {0}
    with tools.running_server(new) as restored:
        page = core(restored).list_namespaced_config_map("default")
        found = [item.metadata.name for item in page.items if item.metadata.name.startswith("n-")]
        # All that was acknowledged before the backup began, and then a prefix of the rest.
        assert found == writer.acknowledged[: len(found)]
        assert len(found) >= len(before)
        assert int(page.metadata.resource_version) >= RESTORE_BUMP
        watching: Any = watch.Watch  # which has no types
        watching = watching()
        with pytest.raises(client.ApiException) as gone:
            for _ in watching.stream(
                core(restored).list_namespaced_config_map, "default", resource_version=str(last)
            ):
                pass
        assert gone.value.status == 410
        # The pod's process ended with its server: the Job, the same one, makes another.
        again = batch(restored).read_namespaced_job("long", "default")
        assert again.metadata.uid == uid
        assert tools.eventually(
            lambda: batch(restored).read_namespaced_job("long", "default").status.failed == 1
        )


@pytest.fixture
def saved(tmp_path: Path) -> bytes:
    """A small archive."""
    (tmp_path / "server").mkdir()
    with tools.running_server(tmp_path / "server", "--no-agent") as server:
        pass
    done = kubatch("backup", "-", "--data-dir", str(server.data_dir))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_archive_that_is_not_what_was_saved(saved: bytes, tmp_path: Path) -> None:
    assert kubatch("restore", "-", "--check", stdin=saved).returncode == 0
    data = gzip.decompress(saved)
    at = data.rindex(b"kube-system")
    changed = gzip.compress(data[:at] + b"cube" + data[at + 4 :])
    for damaged, why in [
        (changed, b"state.db is not what was saved"),
        (saved[: len(saved) // 2], b"unexpected end of data"),
        (b"", b"not a gzip file"),
        (repacked(data, {"../outside": b"x"}), b"../outside does not belong into it"),
        (repacked(data, {}, format=7), b"it has format 7, and this kubatch reads 1"),
    ]:
        done = kubatch("restore", "-", "--data-dir", str(tmp_path / "data"), stdin=damaged)
        assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done.stderr
        assert why in done.stderr
        assert not (tmp_path / "data").exists()
        assert not (tmp_path / "outside").exists()
        assert not list(tmp_path.glob(".kubatch-*"))


def repacked(data: bytes, more: dict[str, bytes], format: int = archive.FORMAT) -> bytes:
    """An archive with more files in it, and sums that fit them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            content = file.read()
            if member.name == "manifest.json":
                manifest = msgspec.json.decode(content, type=archive.Manifest)
                content = msgspec.json.encode(msgspec.structs.replace(manifest, format=format))
                member.size = len(content)
            new.addfile(member, io.BytesIO(content))
        for name, content in more.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return gzip.compress(out.getvalue())


def test_nothing_to_save(tmp_path: Path) -> None:
    done = kubatch("backup", str(tmp_path / "x"), "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert (
        done.stderr
        == f"kubatch: there is no state in {tmp_path}; say where with --data-dir\n".encode()
    )
    assert not list(tmp_path.iterdir())
