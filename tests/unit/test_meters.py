from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from kubatch.meters import Count, Meters, Metric, exponential

THINGS = Metric("things_total", "Things.", ("colour",))
SECONDS = Metric("seconds", "Seconds.", (), "histogram", (0.1, 1.0, 10.0))


def test_counts_add_up_by_labels() -> None:
    meters = Meters()
    meters.add(THINGS, ("red",))
    meters.count([Count(THINGS, ("red",), 2), Count(THINGS, ("blue",))])
    assert meters.value(THINGS, "red") == 3
    assert meters.value(THINGS, "blue") == 1
    assert meters.value(THINGS, "green") == 0


def test_what_is_declared_is_there_before_it_counts() -> None:
    meters = Meters()
    meters.declare(THINGS, SECONDS)
    assert meters.counters == {THINGS: {}}
    assert meters.histograms == {SECONDS: {}}


def test_bounds_grow_by_a_factor() -> None:
    assert exponential(0.004, 2, 4) == (0.004, 0.008, 0.016, 0.032)


@given(st.lists(st.floats(0, 20, allow_nan=False)))
def test_a_bucket_holds_what_is_at_most_its_bound(values: list[float]) -> None:
    meters = Meters()
    meters.declare(SECONDS)
    for value in values:
        meters.observe(SECONDS, (), value)
    ordered = sorted(values)
    wanted = [bisect_right(ordered, bound) for bound in SECONDS.buckets]
    series = meters.histograms[SECONDS]
    if values:
        assert series[()].cumulative() == [*wanted, len(values)]
        assert abs(series[()].total - sum(values)) < 1e-6
    else:
        assert series == {}
