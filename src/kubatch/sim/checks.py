"""What must never happen, looked at after every write to the store and every container's start.

Each check is a generator of complaints, and its docstring the rule. They judge by what is stored
and by what containers really did, not by the code under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubatch.api import models as m
from kubatch.api.conditions import is_true
from kubatch.api.owners import controller_of
from kubatch.controllers.job import names
from kubatch.reconcile.decision import Decision, Delete
from kubatch.runtime.protocol import Container
from kubatch.sim.shapes import IGNORED_CODE
from kubatch.sim.truth import (
    NO_STATUS,
    JobTruth,
    PodTruth,
    Truth,
    finished,
    index_set,
    is_tracked,
    phase_of,
    uncounted,
)

Complaints = Iterator[str]
# What the Job controller is carrying out about a Job, by namespace and name.
Deciding = Callable[[str, str], Decision | None]
PodCheck = Callable[[Truth, Deciding, PodTruth, m.Pod | None, m.Pod | None], Complaints]
JobCheck = Callable[[Truth, JobTruth, m.Job, m.Job], Complaints]

TERMINAL = (names.SUCCEEDED, names.FAILED)

# ----- pods


def an_end_is_final(
    truth: Truth, deciding: Deciding, pod: PodTruth, before: m.Pod | None, after: m.Pod | None
) -> Complaints:
    """A pod that has Succeeded or Failed stays so."""
    if before is not None and after is not None:
        was, now = phase_of(before), phase_of(after)
        if was in TERMINAL and now != was:
            yield f"was {was} and is {now}"


def an_end_is_true(
    truth: Truth, deciding: Deciding, pod: PodTruth, before: m.Pod | None, after: m.Pod | None
) -> Complaints:
    """A pod ends only when none of its containers runs, and succeeds only if all of them did."""
    if after is None or not pod.ended or (before is not None and phase_of(before) in TERMINAL):
        return
    running = truth.running(pod.uid)
    if running:
        yield f"is {pod.phase} while {running[0].container} runs"
    codes = {seen.id.container: seen.exit_code for seen in truth.attempts_of(pod.uid)}
    regular = [container.name for container in pod.spec.containers]
    if pod.phase == names.SUCCEEDED and any(codes.get(name) != 0 for name in regular):
        yield f"Succeeded, but its containers exited with {codes}"
    excused = pod.deleting or pod.uid in truth.lost or not codes
    if pod.phase == names.FAILED and not excused and not any(codes.values()):
        yield "Failed, though all its containers exited with 0"


def goes_when_nothing_runs(
    truth: Truth, deciding: Deciding, pod: PodTruth, before: m.Pod | None, after: m.Pod | None
) -> Complaints:
    """A pod leaves the API only when none of its containers runs, unless it was forced to."""
    if after is None and not pod.forced and pod.spec.terminationGracePeriodSeconds != 0:
        running = truth.running(pod.uid)
        if running:
            yield f"is gone while {running[0].container} runs"


def stays_on_its_node(
    truth: Truth, deciding: Deciding, pod: PodTruth, before: m.Pod | None, after: m.Pod | None
) -> Complaints:
    """A pod is bound once."""
    if before is not None and after is not None and before.spec and after.spec:
        was, now = before.spec.nodeName, after.spec.nodeName
        if was and was != now:
            yield f"moved from {was} to {now}"


def a_finalizer_does_not_return(
    truth: Truth, deciding: Deciding, pod: PodTruth, before: m.Pod | None, after: m.Pod | None
) -> Complaints:
    """The tracking finalizer comes with creation or adoption, and once off it stays off."""
    if before is None or after is None or is_tracked(before) or not is_tracked(after):
        return
    if controller_of(before.metadata) is not None:
        yield "has the tracking finalizer again"


def has_one_controller(
    truth: Truth, deciding: Deciding, pod: PodTruth, before: m.Pod | None, after: m.Pod | None
) -> Complaints:
    """A tracked pod is controlled by one owner, a Job, or by none while it changes hands."""
    if after is None or not is_tracked(after):
        return
    owners = (after.metadata.ownerReferences if after.metadata else None) or []
    controllers = [o for o in owners if o.controller]
    if len(controllers) > 1 or any(o.kind != "Job" for o in controllers):
        yield f"is controlled by {[f'{o.kind}/{o.name}' for o in controllers]}"


def is_counted_before_it_is_let_go(
    truth: Truth, deciding: Deciding, pod: PodTruth, before: m.Pod | None, after: m.Pod | None
) -> Complaints:
    """An ended pod loses the finalizer only when its Job's status knows of its end.

    Not asked of pods that count nowhere: those the Job deletes as surplus or because it is
    suspended or lets go for their labels, failures that a policy ignores, indexes out of range, all
    pods of Jobs that end or are deleted.
    """
    if before is None or not is_tracked(before) or pod.tracked or phase_of(before) not in TERMINAL:
        return
    owner = controller_of(before.metadata)
    job = truth.jobs.get(owner.uid) if owner is not None else None
    if job is None or job.gone or job.deleting or job.finished or not job.selects(pod):
        return
    succeeded, failed = uncounted(job.job)
    if pod.uid in succeeded or pod.uid in failed or _counts_nowhere(job, pod):
        return
    if is_true(job.status.conditions, names.SUCCESS_CRITERIA_MET):
        return  # it was still running when the Job had enough
    decision = deciding(job.meta.namespace or "", job.meta.name or "")
    if decision is None or not _deletes(decision, pod.uid):
        yield f"lost its finalizer, and the status of {job.name} does not know of its end"


def _counts_nowhere(job: JobTruth, pod: PodTruth) -> bool:
    if pod.phase == names.FAILED and _is_ignored(job, pod.pod):
        return True
    if not job.indexed:
        return False
    index = pod.index
    if index is None or index >= (job.spec.completions or 0):
        return True
    done = index_set(job.status.completedIndexes) | index_set(job.status.failedIndexes)
    return pod.phase == names.SUCCEEDED and index in done


def _is_ignored(job: JobTruth, pod: m.Pod) -> bool:
    if job.spec.podFailurePolicy is None:
        return False
    statuses = (pod.status.containerStatuses if pod.status else None) or ()
    ends = [s.state.terminated for s in statuses if s.state is not None]
    return any(end is not None and end.exitCode == IGNORED_CODE for end in ends)


def _deletes(decision: Decision, uid: str) -> bool:
    return any(
        isinstance(write, Delete) and write.uid == uid
        for stage in decision.stages
        for write in stage.writes
    )


def never_more_than_asked_for(
    truth: Truth, deciding: Deciding, pod: PodTruth, before: m.Pod | None, after: m.Pod | None
) -> Complaints:
    """A new pod does not take its Job beyond parallelism, completions, or one per index.

    Parallelism is that of the Job the controller decided about: it may not have seen the latest
    edit. Terminating pods take up room where only failed ones are replaced.
    """
    job = truth.jobs.get(pod.owner)
    if before is not None or job is None or job.gone:
        return
    decision = deciding(job.meta.namespace or "", job.meta.name or "")
    subject = decision.subject if decision is not None else None
    if subject is None or subject.metadata.uid != job.uid:
        yield "was created by a Job that nobody decided about"
        return
    spec: m.JobSpec = subject.spec
    others = job.own
    room_taken = sum(
        other.active or (other.terminating and spec.podReplacementPolicy == "Failed")
        for other in others
    )
    if room_taken > (spec.parallelism or 0):
        yield f"makes {room_taken} active pods of {job.name}, {spec.parallelism} were asked for"
    if job.finished:
        yield f"was created for {job.name}, which is {job.finished}"
    if job.indexed:
        yield from _one_per_index(job, pod)
    elif spec.completions is not None and not spec.manualSelector:
        done = (job.status.succeeded or 0) + len(uncounted(job.job)[0])
        active = sum(other.active for other in others)
        if active + done > spec.completions:
            yield f"is one too many: {active} active, {done} of {spec.completions} done"


def _one_per_index(job: JobTruth, pod: PodTruth) -> Complaints:
    same = [p for p in job.own if p.index == pod.index and p.uid != pod.uid]
    if any(other.active for other in same):
        yield f"is a second active pod of index {pod.index} of {job.name}"
    if pod.index in index_set(job.status.completedIndexes) | index_set(job.status.failedIndexes):
        yield f"is a pod of index {pod.index} of {job.name}, which is done"


POD_CHECKS: tuple[PodCheck, ...] = (
    an_end_is_final,
    an_end_is_true,
    goes_when_nothing_runs,
    stays_on_its_node,
    a_finalizer_does_not_return,
    has_one_controller,
    is_counted_before_it_is_let_go,
    never_more_than_asked_for,
)

# ----- Jobs


def a_finished_job_never_changes(
    truth: Truth, job: JobTruth, before: m.Job, after: m.Job
) -> Complaints:
    """The status of a Job that is Complete or Failed stays as it is."""
    if finished(before) and before.status != after.status:
        yield f"is {finished(before)}, and its status changed"


def counters_follow_the_lists(
    truth: Truth, job: JobTruth, before: m.Job, after: m.Job
) -> Complaints:
    """A counter grows by the uids that leave its list, and by nothing else; none goes back.

    The successes of Indexed Jobs are counted by their indexes instead.
    """
    was, now = before.status or NO_STATUS, after.status or NO_STATUS
    (old_succeeded, old_failed), (new_succeeded, new_failed) = uncounted(before), uncounted(after)
    left = len(old_failed - new_failed)
    if (now.failed or 0) - (was.failed or 0) != left:
        yield f"failed went from {was.failed} to {now.failed}, {left} left the list"
    if job.indexed:
        done = len(index_set(now.completedIndexes))
        if (now.succeeded or 0) != done:
            yield f"succeeded is {now.succeeded}, {done} indexes are completed"
        return
    left = len(old_succeeded - new_succeeded)
    if (now.succeeded or 0) - (was.succeeded or 0) != left:
        yield f"succeeded went from {was.succeeded} to {now.succeeded}, {left} left the list"


def an_end_is_noted_once(truth: Truth, job: JobTruth, before: m.Job, after: m.Job) -> Complaints:
    """A pod's uid enters the lists once, of its own Job, tracked, and for an end that is true."""
    succeeded, failed = uncounted(after)
    was_succeeded, was_failed = uncounted(before)
    for uid in sorted((succeeded - was_succeeded) | (failed - was_failed)):
        if uid in job.noted_succeeded or uid in job.noted_failed:
            yield f"notes the end of {_name(truth, uid)} a second time"
        pod = job.pods.get(uid)
        if pod is None:
            yield f"notes the end of {_name(truth, uid)}, which is not its pod"
        elif not pod.tracked and not job.deleting:  # else it may just have been orphaned
            yield f"notes the end of {pod.name}, which was let go before"
        elif uid in succeeded and pod.phase != names.SUCCEEDED:
            yield f"notes the success of {pod.name}, which is {pod.phase}"
        elif uid in failed and not _may_be_failed(job, pod, after):
            yield f"notes the failure of {pod.name}, which is {pod.phase}"
    job.noted_succeeded |= succeeded
    job.noted_failed |= failed


def _may_be_failed(job: JobTruth, pod: PodTruth, after: m.Job) -> bool:
    """Failed, on its way out, or a pod of a Job that fails. One that succeeds meanwhile counts."""
    conditions = (after.status or NO_STATUS).conditions or ()
    fails = any(c.type == names.FAILURE_TARGET and c.status == "True" for c in conditions)
    return pod.phase == names.FAILED or pod.deleting or fails


def is_counted_after_it_is_let_go(
    truth: Truth, job: JobTruth, before: m.Job, after: m.Job
) -> Complaints:
    """A uid leaves the lists only when its pod has lost the finalizer.

    Or its owner: the pods of a Job that is deleted alone have ended all the same.
    """
    for was, now in zip(uncounted(before), uncounted(after), strict=True):
        for uid in sorted(was - now):
            pod = truth.pods.get(uid)
            if pod is not None and pod.tracked and pod.controller == job.uid:
                yield f"counts {pod.name}, which is still tracked"


def conditions_only_grow(truth: Truth, job: JobTruth, before: m.Job, after: m.Job) -> Complaints:
    """Conditions keep their order; how a Job ends is said twice, first as a target, and stays."""
    was = (before.status or NO_STATUS).conditions or []
    now = (after.status or NO_STATUS).conditions or []
    if [c.type for c in now[: len(was)]] != [c.type for c in was]:
        yield f"conditions went from {[c.type for c in was]} to {[c.type for c in now]}"
    for type in (names.FAILURE_TARGET, names.SUCCESS_CRITERIA_MET):
        old = next((c for c in was if c.type == type), None)
        if old is not None and old not in now:
            yield f"the condition {type} was taken back or changed"
    for first, last in (
        (names.FAILURE_TARGET, names.FAILED),
        (names.SUCCESS_CRITERIA_MET, names.COMPLETE),
    ):
        target = next((c for c in was if c.type == first), None)
        end = next((c for c in now if c.type == last), None)
        if end is not None and not any(c.type == last for c in was):
            if target is None:
                yield f"is {last} without having been {first} before"
            elif (target.reason, target.message) != (end.reason, end.message):
                yield f"{first} said {target.reason}, {last} says {end.reason}"


def indexes_only_grow(truth: Truth, job: JobTruth, before: m.Job, after: m.Job) -> Complaints:
    """An index that is done stays done, unless the Job is made smaller; none is done twice over."""
    was, now = before.status or NO_STATUS, after.status or NO_STATUS
    completions = (after.spec.completions if after.spec else None) or 0
    completed, failed = index_set(now.completedIndexes), index_set(now.failedIndexes)
    for what, old, new in (
        ("completed", index_set(was.completedIndexes), completed),
        ("failed", index_set(was.failedIndexes), failed),
    ):
        lost = {index for index in old - new if index < completions}
        if lost and not job.disturbed:
            yield f"{what} indexes {sorted(lost)} are not {what} any more"
    if completed & failed:
        yield f"indexes {sorted(completed & failed)} are completed and failed"


def indexes_are_true(truth: Truth, job: JobTruth, before: m.Job, after: m.Job) -> Complaints:
    """An index is completed by a pod that succeeded, and failed by one that failed or went."""
    was, now = before.status or NO_STATUS, after.status or NO_STATUS
    pods = job.pods.values()
    for index in sorted(index_set(now.completedIndexes) - index_set(was.completedIndexes)):
        if not any(p.index == index and p.phase == names.SUCCEEDED for p in pods):
            yield f"index {index} is completed, and no pod of it succeeded"
    for index in sorted(index_set(now.failedIndexes) - index_set(was.failedIndexes)):
        if not any(p.index == index and (p.phase == names.FAILED or p.deleting) for p in pods):
            yield f"index {index} is failed, and no pod of it failed"


def a_job_ends_clean(truth: Truth, job: JobTruth, before: m.Job, after: m.Job) -> Complaints:
    """A Job that ends has no pods left that run or are tracked, and nothing uncounted."""
    if finished(before) or not finished(after):
        return
    status = after.status or NO_STATUS
    if any(uncounted(after)) or status.active or status.ready or status.terminating:
        yield "has ended with pods left in its status"
    for pod in job.own:
        if not job.selects(pod) or job.spec.manualSelector:
            continue  # about to be let go, or perhaps adopted just now
        if pod.active or pod.terminating:
            yield f"has ended while {pod.name} is there"
        elif pod.tracked:
            yield f"has ended while {pod.name} is tracked"


def a_job_ends_for_a_reason(truth: Truth, job: JobTruth, before: m.Job, after: m.Job) -> Complaints:
    """What a Job says about its end is so: enough successes, too many failures, too late."""
    if finished(before) or not finished(after):
        return
    status, spec = after.status or NO_STATUS, after.spec
    assert spec is not None
    end = next(c for c in status.conditions or () if c.type == finished(after))
    done, wanted = status.succeeded or 0, spec.completions
    enough = done > 0 if wanted is None else done >= wanted
    if end.reason == "CompletionsReached" and not enough and not job.disturbed:
        yield f"is complete with {done} of {wanted} completions"
    if wanted is not None and done > wanted and not job.disturbed:
        yield f"has {done} successes of {wanted}"
    if (status.completionTime is not None) != (finished(after) == names.COMPLETE):
        yield "completionTime does not go with Complete"
    if job.disturbed:
        return
    failed = sum(p.phase == names.FAILED or p.deleting or p.gone for p in job.pods.values())
    restarts = sum(
        seen.id.attempt > 0 for uid in job.pods for seen in truth.attempts_of(uid) if job.restarts
    )
    limit = 6 if spec.backoffLimit is None else spec.backoffLimit
    if end.reason == "BackoffLimitExceeded" and failed <= limit and restarts < max(limit, 1):
        yield f"{failed} failures and {restarts} restarts do not exceed {limit}"
    if end.reason == "FailedIndexes" and not index_set(status.failedIndexes):
        yield "no index has failed"


JOB_CHECKS: tuple[JobCheck, ...] = (
    a_finished_job_never_changes,
    counters_follow_the_lists,
    an_end_is_noted_once,
    is_counted_after_it_is_let_go,
    conditions_only_grow,
    indexes_only_grow,
    indexes_are_true,
    a_job_ends_clean,
    a_job_ends_for_a_reason,
)

# ----- Jobs on schedule

NewJobCheck = Callable[[Truth, JobTruth], Complaints]
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


def a_time_has_one_job(truth: Truth, job: JobTruth) -> Complaints:
    """A CronJob starts one Job for each of its times."""
    time = (job.meta.annotations or {}).get(SCHEDULED)
    for other in truth.jobs.values():
        same = other.cron == job.cron and (other.meta.annotations or {}).get(SCHEDULED) == time
        if job.cron and same and other is not job:
            yield f"is a second one for {time}"


def forbidden_jobs_do_not_overlap(truth: Truth, job: JobTruth) -> Complaints:
    """A CronJob that forbids it has no two Jobs that run at once."""
    cron = truth.crons.get(job.cron)
    if cron is None or cron.spec is None or cron.spec.concurrencyPolicy != "Forbid":
        return
    for other in truth.living_jobs():
        if other.cron == job.cron and other is not job and not other.finished:
            yield f"was started while {other.name} runs"


NEW_JOB_CHECKS: tuple[NewJobCheck, ...] = (a_time_has_one_job, forbidden_jobs_do_not_overlap)

# ----- containers

StartCheck = Callable[[Truth, Container], Complaints]


def is_restarted_by_the_rules(truth: Truth, seen: Container) -> Complaints:
    """A container runs again only after it ended, and only if its pod's policy says so.

    Not asked where a machine has lost its containers: their ends may never have been told.
    """
    pod = truth.pods.get(seen.id.pod_uid)
    if pod is None or seen.id.attempt == 0 or pod.uid in truth.lost:
        return
    init = {c.name for c in pod.spec.initContainers or ()}
    before = [
        other
        for other in truth.attempts_of(pod.uid)
        if other.id.container == seen.id.container and other.id != seen.id
    ]
    if pod.spec.restartPolicy == "Never" and seen.id.container not in init:
        yield f"{seen.id.container} of {pod.name} runs again, its policy is Never"
    for other in before:
        if other.exit_code is None:
            yield f"{seen.id.container} of {pod.name} runs twice at once"
        elif other.exit_code == 0 and not _may_be_condemned(pod.spec, seen.id.container):
            yield f"{seen.id.container} of {pod.name} runs again after it succeeded"


def _may_be_condemned(spec: m.PodSpec, name: str) -> bool:
    """Whether a probe may have its container run again, however the run before ended.

    A program can end by itself in the moment it is condemned; a kubelet starts it again all the
    same (pkg/kubelet/kuberuntime/kuberuntime_manager.go: computePodActions).
    """
    return any(
        c.name == name and (c.livenessProbe is not None or c.startupProbe is not None)
        for c in (*spec.containers, *(spec.initContainers or ()))
    )


START_CHECKS: tuple[StartCheck, ...] = (is_restarted_by_the_rules,)


def _name(truth: Truth, uid: str) -> str:
    pod = truth.pods.get(uid)
    return pod.name if pod is not None else uid


def look(
    truth: Truth, deciding: Deciding, whose: JobTruth | PodTruth, before: Any, after: Any
) -> Complaints:
    """Every complaint about one change."""
    if isinstance(whose, PodTruth):
        for pod_check in POD_CHECKS:
            for complaint in pod_check(truth, deciding, whose, before, after):
                yield f"pod {whose.name} {complaint} [{pod_check.__name__}]"
    elif before is None:
        for new_check in NEW_JOB_CHECKS:
            for complaint in new_check(truth, whose):
                yield f"job {whose.name} {complaint} [{new_check.__name__}]"
    elif after is not None:
        for job_check in JOB_CHECKS:
            for complaint in job_check(truth, whose, before, after):
                yield f"job {whose.name}: {complaint} [{job_check.__name__}]"
