"""Names and limits of the Job controller, as clients and other controllers know them.

From k8s.io/api/batch/v1/types.go and pkg/controller/job/job_controller.go.
"""

from __future__ import annotations

from datetime import timedelta

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
CONTROLLER_UID_LABEL = "batch.kubernetes.io/controller-uid"
# The same name is an annotation (which the controller believes) and a label (for selectors).
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
COMPLETION_INDEX_ENV = "JOB_COMPLETION_INDEX"
MANAGED_BY_US = "kubernetes.io/job-controller"
# For a Job on any cluster that is to be left to kubatch (`kubatch controllers`).
MANAGED_BY_KUBATCH = "kubatch.dev/job-controller"
# Whose Jobs a controller looks after, by spec.managedBy; "" when that is absent.
BUILT_IN = frozenset(("", MANAGED_BY_US))
KUBATCH_ONLY = frozenset((MANAGED_BY_KUBATCH,))
BOTH = BUILT_IN | KUBATCH_ONLY

MAX_PODS_PER_TURN = 500  # MaxPodCreateDeletePerSync
MAX_UNCOUNTED = 500  # MaxUncountedPods: bounds the status object
BACKOFF_BASE = timedelta(seconds=10)  # DefaultJobPodFailureBackOff
BACKOFF_MAX = timedelta(seconds=600)  # MaxJobPodFailureBackOff
MAX_GENERATED_NAME = 58  # apiserver/pkg/storage/names: 63 less five random characters

SUCCEEDED = "Succeeded"
FAILED = "Failed"

# Condition types
COMPLETE = "Complete"
FAILURE_TARGET = "FailureTarget"
SUCCESS_CRITERIA_MET = "SuccessCriteriaMet"
SUSPENDED = "Suspended"
