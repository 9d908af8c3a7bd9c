"""`kubatch run` as a program: exit codes, what goes to which stream, what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

KUBATCH = Path(sys.executable).with_name("kubatch")
SECONDS_MAX = 60

pytestmark = pytest.mark.slow

JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: busybox
          command: ["sh", "-c", {script}]
"""


def job(name: str, script: str) -> str:
    return JOB.format(name=name, script=json.dumps(script))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the manifests of a test are; beside it, what the command sees as /tmp."""
    made = tmp_path / "manifests"
    made.mkdir()
    (tmp_path / "temporary").mkdir()
    return made


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder.parent / "temporary"), "HOME": str(folder.parent)}


def run(folder: Path, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(KUBATCH), "run", *words],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder),
        timeout=SECONDS_MAX,
    )


def test_a_job_that_completes_exits_with_0(folder: Path) -> None:
    (folder / "job.yaml").write_text(job("good", "echo hello; echo world >&2"))
    done = run(folder, "-f", "job.yaml")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\[good-\w{5}\] hello\n\[good-\w{5}\] world\n", done.stdout)
    said = done.stderr.splitlines()
    assert said[0] == "job.batch/good created"
    assert re.fullmatch(r"job\.batch/good complete in \d+s: 1 succeeded", said[-1])


def test_nothing_is_left_behind(folder: Path) -> None:
    (folder / "job.yaml").write_text(job("good", "true"))
    done = run(folder, "-f", "job.yaml")
    assert done.returncode == 0, done.stderr
    assert list((folder.parent / "temporary").iterdir()) == []
    assert sorted(path.name for path in folder.parent.iterdir()) == ["manifests", "temporary"]


def test_a_pipe_gets_no_escape_codes(folder: Path) -> None:
    (folder / "job.yaml").write_text(job("good", "echo plain"))
    done = run(folder, "-f", "job.yaml")
    assert "\x1b" not in done.stdout + done.stderr


def test_a_job_that_fails_exits_with_1(folder: Path) -> None:
    (folder / "job.yaml").write_text(job("bad", "echo oh no; exit 3"))
    done = run(folder, "-f", "job.yaml")
    assert done.returncode == 1, done.stderr
    assert "oh no" in done.stdout
    assert "job.batch/bad failed: BackoffLimitExceeded: " in done.stderr


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("kind: Job\n", "kubatch: job.yaml: an object has no apiVersion\n"),
        ("a: [\n", "kubatch: job.yaml: "),
        (
            job("good", "true").replace("restartPolicy: Never", "restartPolicy: Always"),
            'kubatch: job.yaml: Job.batch "good" is invalid: spec.template.spec.restartPolicy: '
            'Required value: valid values: "OnFailure", "Never"\n',
        ),
        (
            job("good", "true").replace("backoffLimit", "backofLimit"),
            'kubatch: job.yaml: strict decoding error: unknown field "spec.backofLimit"\n',
        ),
        (
            "apiVersion: batch/v1\nkind: Task\nmetadata: {name: x}\n",
            'kubatch: job.yaml: no matches for kind "Task" in version "batch/v1"\n',
        ),
    ],
    ids=["no version", "not YAML", "invalid", "misspelt", "unknown kind"],
)
def test_a_manifest_that_is_wrong_exits_with_2(folder: Path, manifest: str, message: str) -> None:
    (folder / "job.yaml").write_text(manifest)
    done = run(folder, "-f", "job.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-f", "missing.yaml"),
        ("-f", "job.yaml", "--timeout", "soon"),
        ("-f", "job.yaml", "-o", "table"),
        ("-f", "."),
    ],
)
def test_wrong_usage_exits_with_2(folder: Path, words: tuple[str, ...]) -> None:
    done = run(folder, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr != ""
    assert "Traceback" not in done.stderr


def test_a_timeout_exits_with_124_and_ends_the_pods(folder: Path) -> None:
    (folder / "job.yaml").write_text(job("long", "echo started; exec sleep 600.0625"))
    done = run(folder, "-f", "job.yaml", "--timeout", "2s")
    assert done.returncode == 124, done.stderr
    assert "started" in done.stdout
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 600.0625" not in running.stdout


def test_ctrl_c_exits_with_130_and_ends_the_pods(folder: Path) -> None:
    (folder / "job.yaml").write_text(job("long", "echo pid $$; exec sleep 600"))
    with subprocess.Popen(
        [str(KUBATCH), "run", "-f", "job.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env=environment(folder),
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=SECONDS_MAX) == 130
    assert not Path(f"/proc/{line.split()[-1]}").exists()


def test_a_directory_of_jobs(folder: Path) -> None:
    for name in ("one", "two", "three"):
        (folder / f"{name}.yaml").write_text(job(name, f"echo this is {name}"))
    (folder / "notes.txt").write_text("not a manifest")
    done = run(folder, "-f", ".")
    assert done.returncode == 0, done.stderr
    lines = sorted(line.partition("] ")[2] for line in done.stdout.splitlines())
    assert lines == ["this is one", "this is three", "this is two"]


def test_one_failure_among_many_is_a_failure(folder: Path) -> None:
    (folder / "jobs.yaml").write_text(job("good", "true") + "---\n" + job("bad", "false"))
    done = run(folder, "-f", "jobs.yaml")
    assert done.returncode == 1
    assert "job.batch/good complete" in done.stderr
    assert "job.batch/bad failed" in done.stderr


def test_standard_input(folder: Path) -> None:
    done = run(folder, "-f", "-", stdin=job("piped", "echo hello"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("] hello\n")


def test_output_as_json_is_a_list_of_the_jobs_alone(folder: Path) -> None:
    (folder / "job.yaml").write_text(job("good", "echo hello"))
    done = run(folder, "-f", "job.yaml", "-o", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["kind"] == "List"
    (item,) = answer["items"]
    assert (item["apiVersion"], item["kind"], item["metadata"]["name"]) == (
        "batch/v1",
        "Job",
        "good",
    )
    assert item["status"]["succeeded"] == 1
    assert "hello" in done.stderr


def test_a_container_that_cannot_start_says_why(folder: Path) -> None:
    manifest = job("nothing", "true").replace("busybox", "unknown/image")
    manifest = "".join(line for line in manifest.splitlines(True) if "command:" not in line)
    (folder / "job.yaml").write_text(manifest)
    done = run(folder, "-f", "job.yaml", "--timeout", "3s")
    assert done.returncode == 124
    assert "unknown/image" in done.stderr


def test_a_data_directory_is_kept(folder: Path) -> None:
    (folder / "job.yaml").write_text(job("good", "echo kept"))
    done = run(folder, "-f", "job.yaml", "--data-dir", "state")
    assert done.returncode == 0, done.stderr
    state = folder / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    logs = [path.read_text() for path in state.rglob("*.log")]
    assert any("kept" in text for text in logs)
