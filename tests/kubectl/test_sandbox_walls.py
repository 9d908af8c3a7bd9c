"""What pods in sandboxes cannot do to others, the API from inside, and streams through the wall."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubatch.runtime.sandbox import available
from tests.kubectl import tools
from tests.kubectl.conftest import at_home
from tests.kubectl.test_sandbox import apply, output, pod
from tests.kubectl.test_streams import terminal

WHY_NOT = available()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not tools.find_kubectls(), reason="no kubectl here"),
    pytest.mark.skipif(bool(WHY_NOT), reason=f"no sandboxes here: {WHY_NOT}"),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may share namespaces")


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tools.Server]:
    with tools.running_server(tmp_path_factory.mktemp("walls"), "--runtime", "sandbox") as running:
        yield running


@pytest.fixture(scope="module", params=tools.full_matrix())
def each_kubectl(
    request: pytest.FixtureRequest, boxed: tools.Server, tmp_path_factory: pytest.TempPathFactory
) -> tools.Kubectl:
    found = at_home(request.param, boxed, tmp_path_factory.mktemp("home"))
    apply(found, pod("shell", "exec sleep 1000"))
    found("wait", "--for=condition=Ready", "pod/shell", "--timeout=30s")
    return found


@pytest.fixture(scope="module")
def kubectl(boxed: tools.Server, tmp_path_factory: pytest.TempPathFactory) -> tools.Kubectl:
    version = tools.full_matrix()[-1]
    home = tmp_path_factory.mktemp("home")
    found = tools.Kubectl(tools.find_kubectls()[version], version, boxed.kubeconfig, home, "walls")
    tools.Kubectl(found.binary, version, boxed.kubeconfig, home)("create", "namespace", "walls")
    return found


# ----- the API from inside

INSIDE = """
from kubernetes import client, config
config.load_incluster_config()
here = open("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read()
print([p.metadata.name for p in client.CoreV1Api().list_namespaced_pod(here).items])
try:
    client.CoreV1Api().list_namespaced_secret(here)
except client.ApiException as error:
    print(error.status)
"""


def test_a_pod_asks_the_api_as_its_account(kubectl: tools.Kubectl) -> None:
    pytest.importorskip("kubernetes")
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "role", "pods", "--verb=list,get", "--resource=pods")
    kubectl("create", "rolebinding", "pods", "--role=pods", "--serviceaccount=walls:robot")
    container = {"command": [sys.executable, "-c", INSIDE]}
    manifest = pod("robot", "", container=container, serviceAccountName="robot")
    assert output(kubectl, manifest).splitlines() == ["['robot']", "403"]
    shown = kubectl("describe", "pod", "robot")
    assert "/var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-" in shown
    assert "TokenExpirationSeconds:  3607" in shown


# ----- what cannot be reached

ATTEMPTS = """
for f in {state}/state.db {state}/kubeconfig {state}/pki/* {state}/logs/pods/*/*/*.log; do
  cat $f >/dev/null 2>&1 && echo "read $f"
done
ls -A {state} 2>/dev/null
ls -d /dev/shm/kubatch-* 2>/dev/null
for p in /proc/[0-9]*; do
  (cd $p/root && cat etc/login/password) 2>/dev/null
  tr '\\0' '\\n' < $p/environ 2>/dev/null | grep hunter2
done
ls /proc | grep -cE '^[0-9]{{5,}}$'
kill -9 {victim} 2>/dev/null && echo killed
mount -t tmpfs none /mnt 2>/dev/null && echo mounted
mount -o remount,rw / 2>/dev/null && echo remounted
umount {state} 2>/dev/null && echo unmounted
mknod /tmp/disk b 8 0 2>/dev/null && head -c1 /tmp/disk >/dev/null 2>&1 && echo disk
(: >> /proc/sys/kernel/core_pattern) 2>/dev/null && echo dumps
(echo x > /proc/sys/kernel/hostname) 2>/dev/null && echo renamed
echo x > /usr/kubatch-was-here 2>/dev/null
nsenter -t 1 -m -p true 2>/dev/null && nsenter -t 1 -m cat {state}/state.db 2>/dev/null
chroot /proc/1/root cat {state}/state.db 2>/dev/null
unshare -m umount {state} 2>/dev/null && echo unshared
echo end
"""


def test_what_a_pod_tries_in_vain(kubectl: tools.Kubectl, boxed: tools.Server) -> None:
    login = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login"},
        "stringData": {"password": "hunter2"},
    }
    source = {"name": "login", "secret": {"secretName": "login"}}
    env = [{"name": "PASSWORD", "value": "hunter2"}]
    victim = pod("victim", "exec sleep 1000.5", ("/etc/login", source), container={"env": env})
    apply(kubectl, login, victim)
    kubectl("wait", "--for=condition=Ready", "pod/victim", "--timeout=30s")
    (number,) = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if _read(path) == b"sleep\x001000.5\x00"
    ]
    script = ATTEMPTS.format(state=boxed.data_dir, victim=number)
    try:
        assert output(kubectl, pod("attacker", script)).splitlines() == ["0", "end"]
        assert not Path("/usr/kubatch-was-here").exists()
        assert kubectl.json("get", "pod", "victim")["status"]["phase"] == "Running"
    finally:
        kubectl("delete", "pod", "victim", "--grace-period=0", "--force")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# ----- what a pod's containers have in common


@needs_root
def test_containers_that_share_processes(kubectl: tools.Kubectl) -> None:
    manifest = pod("shares", "echo said > /dev/shm/x; exec sleep 1000.75")
    seen = "until grep -qs said /dev/shm/x; do :; done; ps ax -o args | grep '^sleep 1000.75'"
    second = {"name": "d", "image": "busybox", "command": ["sh", "-c", seen]}
    manifest["spec"]["containers"].append(second)
    apply(kubectl, {**manifest, "spec": {**manifest["spec"], "shareProcessNamespace": True}})
    query = "{.status.containerStatuses[?(@.name=='d')].state.terminated.exitCode}"
    kubectl("wait", f"--for=jsonpath={query}=0", "pod/shares", "--timeout=30s")
    assert kubectl("logs", "shares", "-c", "d") == "sleep 1000.75\n"
    kubectl("delete", "pod", "shares", "--grace-period=0", "--force")


def test_names(kubectl: tools.Kubectl) -> None:
    manifest = pod(
        "named", "hostname; grep web /etc/hosts; cat /etc/resolv.conf",
        hostname="web-0", subdomain="web", setHostnameAsFQDN=True, dnsPolicy="None",
        dnsConfig={"nameservers": ["192.0.2.1"], "searches": ["example"]},
        hostAliases=[{"ip": "192.0.2.7", "hostnames": ["webby"]}],
    )  # fmt: skip
    full = "web-0.web.walls.svc.cluster.local"
    assert output(kubectl, manifest).splitlines() == [
        full, f"127.0.0.1\t{full}\tweb-0", "192.0.2.7\twebby",
        "search example", "nameserver 192.0.2.1",
    ]  # fmt: skip


# ----- streams


def test_exit_codes_and_input(each_kubectl: tools.Kubectl) -> None:
    done = each_kubectl.result("exec", "shell", "--", "sh", "-c", "echo out; echo bad >&2; exit 3")
    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert done.stderr == "bad\ncommand terminated with exit code 3\n"
    much = "0123456789abcdef\n" * 20_000
    assert each_kubectl("exec", "-i", "shell", "--", "cat", stdin=much) == much


def test_copies_both_ways(each_kubectl: tools.Kubectl, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_text("deep")
    each_kubectl("cp", str(folder), "shell:/tmp/there")
    assert each_kubectl("exec", "shell", "--", "cat", "/tmp/there/sub/file") == "deep"
    each_kubectl("cp", "shell:/tmp/there", str(tmp_path / "back"))
    assert (tmp_path / "back" / "sub" / "file").read_text() == "deep"


def test_run_with_input_and_its_code(each_kubectl: tools.Kubectl) -> None:
    words = ["run", "once", "-i", "--rm", "--quiet", "--restart=Never", "--image=busybox"]
    done = each_kubectl.result(*words, "--", "sh", "-c", "cat; exit 7", stdin="some words\n")
    assert done.stdout.startswith("some words\n")
    assert done.returncode == 7, done.stderr
    assert each_kubectl.result("get", "pod", "once").returncode == 1


def test_a_terminal_and_its_size(each_kubectl: tools.Kubectl) -> None:
    with terminal(each_kubectl, "exec", "-it", "shell", "--", "sh") as sh:
        sh.type('until [ "$(stty size)" = \'33 111\' ]; do :; done; echo si""zed\n')
        sh.until("sized\r\n")
        termios.tcsetwinsize(sh.master, (44, 99))
        sh.process.send_signal(28)  # SIGWINCH: nobody sends it to a process in another session
        sh.type('until [ "$(stty size)" = \'44 99\' ]; do :; done; echo again si""zed\n')
        sh.until("again sized\r\n")
        sh.type("exit 5\n")
        assert sh.code() == 5
