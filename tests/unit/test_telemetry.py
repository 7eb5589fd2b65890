"""Counters, gauges, histograms and the log."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from trebuchet.telemetry import METRICS, MetricRow, Telemetry


class Log:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, dict[str, object]]] = []

    def info(self, action: str, /, **fields: object) -> None:
        self.said.append(("info", action, fields))

    def warning(self, action: str, /, **fields: object) -> None:
        self.said.append(("warning", action, fields))


def samples(telemetry: Telemetry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples as Prometheus reads them: by name and labels."""
    families = text_string_to_metric_families(telemetry.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


# ---- metrics ----


@pytest.mark.parametrize("row", METRICS, ids=lambda row: row.name)
def test_metric_rows_follow_the_conventions_of_prometheus(row: MetricRow) -> None:
    """Counters end in `_total`, others do not; times are in seconds; a sentence says what it is."""
    assert row.kind in {"counter", "gauge", "histogram"}
    assert row.name.startswith("trebuchet_")
    assert row.name.endswith("_total") == (row.kind == "counter")
    assert row.help.endswith(".")


def test_metric_names_are_unique() -> None:
    """One row each."""
    assert len({row.name for row in METRICS}) == len(METRICS)


def test_every_metric_is_shown_with_its_type_and_help() -> None:
    """Also before anything happened."""
    families = {
        family.name: family
        for family in text_string_to_metric_families(Telemetry().render().decode())
        if family.name.startswith("trebuchet_")
    }
    for row in METRICS:
        family = families[row.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (row.kind, row.help)


def test_a_counter_without_labels_starts_at_nought() -> None:
    """So that its first step is seen as one."""
    assert samples(Telemetry())["trebuchet_callbacks_given_up_total", ()] == 0


def test_counters_add_up_by_their_labels() -> None:
    """Each combination counts for itself."""
    telemetry = Telemetry()
    telemetry.count("trebuchet_submits_total", "sim/0", "Accepted")
    telemetry.count("trebuchet_submits_total", "sim/0", "Accepted", by=2)
    telemetry.count("trebuchet_submits_total", "sim/0", "Lost")
    assert telemetry.value("trebuchet_submits_total", "sim/0", "Accepted") == 3
    shown = samples(telemetry)
    assert shown["trebuchet_submits_total", (("lane", "sim/0"), ("outcome", "Accepted"))] == 3
    assert shown["trebuchet_submits_total", (("lane", "sim/0"), ("outcome", "Lost"))] == 1


def test_asking_for_a_value_does_not_make_it() -> None:
    """A counter that never moved stands at 0 and is not shown."""
    telemetry = Telemetry()
    assert telemetry.value("trebuchet_submits_total", "sim/0", "Lost") == 0
    assert not [key for key in samples(telemetry) if key[0] == "trebuchet_submits_total"]


def test_gauges_are_replaced_as_a_whole() -> None:
    """A lane that is gone is not shown any longer; other gauges stay."""
    telemetry = Telemetry()
    telemetry.gauges("trebuchet_lane_depth", {("a",): 1.0, ("b",): 2.0})
    telemetry.gauges("trebuchet_link_up", {("sim",): 1.0})
    telemetry.gauges("trebuchet_lane_depth", {("b",): 3.0})
    shown = samples(telemetry)
    assert shown["trebuchet_lane_depth", (("lane", "b"),)] == 3
    assert shown["trebuchet_link_up", (("carrier", "sim"),)] == 1
    assert ("trebuchet_lane_depth", (("lane", "a"),)) not in shown


def test_batches_and_callbacks_are_observed() -> None:
    """In histograms, whose sums and counts give the mean."""
    telemetry = Telemetry()
    telemetry.batch(3, 0.004)
    telemetry.batch(5, 0.006)
    telemetry.callback_took(0.2)
    shown = samples(telemetry)
    assert shown["trebuchet_commit_batch_size_sum", ()] == 8
    assert shown["trebuchet_commit_batch_size_count", ()] == 2
    assert shown["trebuchet_commit_seconds_sum", ()] == pytest.approx(0.01)
    assert shown["trebuchet_callback_seconds_count", ()] == 1


def test_labels_with_odd_characters_are_shown_as_they_are() -> None:
    """Quotation marks, backslashes and line ends are escaped in the format."""
    telemetry = Telemetry()
    odd = 'a"b\\c\nd'
    telemetry.count("trebuchet_problems_total", odd)
    assert samples(telemetry)["trebuchet_problems_total", (("action", odd),)] == 1


def test_gateways_do_not_share_their_counts() -> None:
    """Each has its own registry."""
    one, other = Telemetry(), Telemetry()
    one.count("trebuchet_problems_total", "x")
    assert other.value("trebuchet_problems_total", "x") == 0


# ---- the log ----


def test_a_problem_is_counted_and_said_once() -> None:
    """As a warning, with its ids."""
    log = Log()
    telemetry = Telemetry(lambda: log)
    telemetry.problem("claim_failed", lane="sim/0", error="disk full")
    assert log.said == [("warning", "claim_failed", {"lane": "sim/0", "error": "disk full"})]
    assert telemetry.value("trebuchet_problems_total", "claim_failed") == 1


def test_a_note_is_no_problem() -> None:
    """It is said, and not counted."""
    log = Log()
    telemetry = Telemetry(lambda: log)
    telemetry.note("ready", port=8080)
    assert log.said == [("info", "ready", {"port": 8080})]
    assert telemetry.value("trebuchet_problems_total", "ready") == 0


def test_the_log_is_made_once_and_when_it_is_needed() -> None:
    """What makes it takes a while, and most gateways start without a word."""
    made: list[Log] = []

    def make() -> Log:
        made.append(Log())
        return made[-1]

    telemetry = Telemetry(make)
    assert made == []
    telemetry.note("one")
    telemetry.problem("two")
    assert [[action for _, action, _ in log.said] for log in made] == [["one", "two"]]


def test_without_a_log_nothing_is_said_and_all_is_counted() -> None:
    """As in tests."""
    telemetry = Telemetry()
    telemetry.problem("claim_failed")
    telemetry.note("ready")
    assert telemetry.value("trebuchet_problems_total", "claim_failed") == 1
