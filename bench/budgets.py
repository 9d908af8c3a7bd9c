"""What each figure is to keep, as data. docs/performance.md says what the rows mean."""

from __future__ import annotations

from bench.table import Budget

MANY = "process: 2,000 completions of /bin/true, 32 at a time"
IDLE = "idle with 100 CronJobs and 1,000 finished Jobs"
GROWTH = "CPU per completion, {} of one Job"

BUDGETS = (
    Budget(MANY, "least", 0.30, "xargs -P2"),
    Budget(MANY, "least", 1.5, "GNU parallel"),
    Budget("Job created to its process running, p50", "most", 15),
    Budget("Job created to its process running, p99", "most", 60),
    Budget("process exit to Complete on a watch, p50", "most", 15),
    Budget("process exit to Complete on a watch, p99", "most", 60),
    Budget("one-pod Job created to Complete, p50", "most", 50),
    Budget("kubatch up --store sqlite: ready", "most", 500),
    Budget("kubatch run of one Job, prompt to prompt", "most", 1200),
    Budget(f"{IDLE}: memory", "most", 80),
    Budget(f"{IDLE}: CPU", "most", 0.5),
    Budget("HTTPS: creates of Jobs, 32 at a time", "least", 3000),
    Budget("HTTPS: gets of a Job, 32 at a time", "least", 9000),
    Budget("HTTPS: lists of 500 Jobs, 2 at a time", "least", 800),
    Budget("HTTPS: a commit at each of 500 watchers, p99", "most", 50),
    Budget("10000 CronJobs due at once: p99", "most", 1),
    # A noisy machine moves a ratio by some percent, growth with the square would move it tenfold.
    Budget(GROWTH.format("1,000 to 5,000"), "most", 1.25, "the first 1,000"),
    Budget(GROWTH.format("5,000 to 100,000"), "most", 1.25, "the first 1,000"),
    Budget("10,000 Jobs at once: CPU per Job", "most", 1.1, "1,000 Jobs"),
    Budget("memory at 100,000 completions", "most", 600),
)
