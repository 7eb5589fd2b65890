"""The dashboard and the alert rules of deploy/ ask only for metrics and labels that the gateway has."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from trebuchet.cli.serve import OPTIONS
from trebuchet.settings import Settings
from trebuchet.settings.rows import rows
from trebuchet.telemetry import METRICS

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "trebuchet.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"

# What Prometheus itself adds to each sample.
TARGET = {"job", "instance"}
HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")
# Functions that make sense of what only grows, and of nothing else.
OF_COUNTERS = {"rate", "irate", "increase"}
SECTIONS = [
    "Traffic",
    "Lanes and queues",
    "Links and binds",
    "Receipts",
    "Callbacks",
    "Commits and latency",
    "Problems",
    "Nodes",
]


def series() -> dict[str, tuple[str, set[str]]]:
    """Kind and labels of every series on /metrics, by name; the parts of a histogram are counters."""
    found: dict[str, tuple[str, set[str]]] = {}
    for row in METRICS:
        if row.kind == "histogram":
            for part in HISTOGRAM_PARTS:
                more = {"le"} if part == "_bucket" else set()
                found[row.name + part] = ("counter", {*row.labels, *more})
        else:
            found[row.name] = (row.kind, set(row.labels))
    return found


SERIES = series()


class Reading:
    """What an expression asks for, and which labels its result can have."""

    def __init__(self, text: str) -> None:
        self.wrong: list[str] = []
        self.names: set[str] = set()
        try:
            tree = promql.parse(filled_in(text))
        except ValueError as error:
            self.wrong.append(str(error))
            self.labels: set[str] = set()
        else:
            self.labels = self._labels(tree)

    def _labels(self, node: Any, inside: str = "") -> set[str]:
        if isinstance(node, promql.VectorSelector):
            return self._selected(node, inside)
        if isinstance(node, promql.MatrixSelector):
            return self._selected(node.vector_selector, inside)
        if isinstance(node, promql.Call):
            given = [self._labels(each, node.func.name) for each in node.args]
            labels = set[str]().union(*given)
            if node.func.name == "histogram_quantile":
                self._expect({"le"}, labels, "histogram_quantile")
                labels -= {"le"}
            return labels
        if isinstance(node, promql.AggregateExpr):
            labels = self._labels(node.expr)
            kept = set(node.modifier.labels) if node.modifier is not None else set[str]()
            self._expect(kept, labels, str(node.op))
            without = node.modifier is not None and node.modifier.type == promql.AggModifierType.Without
            return labels - kept if without else kept
        if isinstance(node, promql.BinaryExpr):
            return self._labels(node.lhs) | self._labels(node.rhs)
        if isinstance(node, promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
            return self._labels(node.expr, inside)
        return set()

    def _selected(self, selector: Any, inside: str) -> set[str]:
        name = selector.name or ""
        self.names.add(name)
        if name not in SERIES:
            self.wrong.append(f"no metric {name!r}")
            return set()
        kind, labels = SERIES[name]
        self._expect({matcher.name for matcher in selector.matchers.matchers}, labels | TARGET, name)
        if inside in OF_COUNTERS and kind != "counter":
            self.wrong.append(f"{inside} of the {kind} {name}")
        return labels | TARGET

    def _expect(self, wanted: set[str], there: set[str], where: str) -> None:
        self.wrong += [f"{where} has no label {label!r}" for label in sorted(wanted - there)]


def filled_in(text: str) -> str:
    """An expression with Grafana's variables for durations replaced by one."""
    return re.sub(r"\$__(rate_interval|range|interval)", "5m", text)


def objections(text: str, shown: str = "") -> list[str]:
    """What is wrong with an expression, and with the labels that a legend or an annotation of it shows."""
    reading = Reading(text)
    asked = set(re.findall(r"\{\{ *(?:\$labels\.)?([a-z_]+) *\}\}", shown))
    return reading.wrong + [f"the result has no label {label!r}" for label in sorted(asked - reading.labels)]


DOCUMENT: Mapping[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
PANELS = [panel for panel in DOCUMENT["panels"] if panel["type"] != "row"]
RULES = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]


def asked_for() -> Iterator[tuple[str, str, str]]:
    """(place, expression, what is shown of its labels) of the dashboard and of the rules."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]
    for rule in RULES:
        yield rule["alert"], rule["expr"], " ".join(rule["annotations"].values())


def test_expressions_ask_for_metrics_and_labels_that_there_are() -> None:
    """Every expression parses; what it selects, groups by and shows exists; a rate is that of a counter."""
    wrong = [(place, found) for place, expr, shown in asked_for() if (found := objections(expr, shown))]
    assert wrong == []


@pytest.mark.parametrize(
    ("expr", "shown", "objection"),
    [
        ("trebuchet_lane_depth", "{{lane}} on {{instance}}", None),
        ("sum by (le) (rate(trebuchet_commit_seconds_bucket[$__rate_interval]))", "", None),
        ("sum(rate(trebuchet_lane_dept[5m]))", "", "no metric 'trebuchet_lane_dept'"),
        ("trebuchet_commit_seconds", "", "no metric 'trebuchet_commit_seconds'"),
        ("up", "", "no metric 'up'"),
        ('trebuchet_lane_depth{carrier="x"}', "", "trebuchet_lane_depth has no label 'carrier'"),
        ("sum by (carrier) (trebuchet_lane_depth)", "", "sum has no label 'carrier'"),
        ("rate(trebuchet_lane_depth[5m])", "", "rate of the gauge trebuchet_lane_depth"),
        ("sum by (lane) (trebuchet_lane_depth)", "{{job}}", "the result has no label 'job'"),
        ("sum(trebuchet_lane_depth)", "{{ $labels.lane }}", "the result has no label 'lane'"),
        (
            "histogram_quantile(0.9, sum(rate(trebuchet_commit_seconds_bucket[5m])))",
            "",
            "histogram_quantile has no label 'le'",
        ),
        ("sum by (lane (trebuchet_lane_depth)", "", "unclosed left parenthesis"),
    ],
)
def test_the_objections_themselves(expr: str, shown: str, objection: str | None) -> None:
    """A wrong name, label, kind, legend or syntax is found."""
    found = objections(expr, shown)
    assert (found == []) if objection is None else any(objection in each for each in found)


def test_the_dashboard_shows_every_metric() -> None:
    """Whoever adds a metric gives it a place."""
    shown = {
        name for panel in PANELS for target in panel["targets"] for name in Reading(target["expr"]).names
    }
    assert [
        row.name for row in METRICS if not {row.name, *(row.name + p for p in HISTOGRAM_PARTS)} & shown
    ] == []


def test_the_dashboard_has_its_sections() -> None:
    """Rows in the order of the path, none of them empty."""
    kinds = [(panel["type"] == "row", panel["title"]) for panel in DOCUMENT["panels"]]
    assert [title for is_row, title in kinds if is_row] == SECTIONS
    following = zip(kinds, [*kinds[1:], (True, "the end")], strict=True)
    assert [title for (is_row, title), (next_is_row, _) in following if is_row and next_is_row] == []


def test_the_dashboard_can_be_imported() -> None:
    """Panels have ids of their own and do not overlap; the data source is chosen, not somebody's own."""
    ids = [panel["id"] for panel in DOCUMENT["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [cell for panel in DOCUMENT["panels"] for cell in cells_of(panel["gridPos"])]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert all(part["datasource"] == source for panel in PANELS for part in (panel, *panel["targets"]))
    assert DOCUMENT["schemaVersion"] >= 38
    assert DOCUMENT["id"] is None


def cells_of(place: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def test_the_variables_of_the_dashboard_exist() -> None:
    """Each variable in an expression is defined, and is made of a metric that there is."""
    variables = {variable["name"]: variable for variable in DOCUMENT["templating"]["list"]}
    used = {
        name
        for panel in PANELS
        for target in panel["targets"]
        for name in re.findall(r"\$(\w+)", target["expr"])
        if not name.startswith("__")
    }
    assert used <= set(variables)
    for variable in variables.values():
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
            assert objections(selector, f"{{{{{label}}}}}") == []


def test_an_alert_says_what_to_do() -> None:
    """Each rule has a name of its own, a severity, a summary and a description."""
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize("path", ["compose.yaml", "kubernetes/trebuchet.yaml", "systemd/trebuchet.service"])
def test_every_setting_in_a_deployment_exists(path: str) -> None:
    """Variables are settings, and options of `serve` and `check` are theirs."""
    text = (DEPLOY / path).read_text()
    known = {f"TREBUCHET_{row.name.replace('.', '_').upper()}" for row in rows()}
    named = set(re.findall(r"TREBUCHET_[A-Z0-9_]+", text))
    assert named
    assert named <= known
    flags = set(re.findall(r"(?<=[ \"])--(?:host|data|config|database|roles|port|set)\b", text))
    assert flags <= {option.flag for option in OPTIONS}


@pytest.mark.parametrize("path", ["compose.yaml", "kubernetes/trebuchet.yaml"])
def test_a_deployment_can_be_read(path: str) -> None:
    """It is YAML, and stops a node later than the node stops by itself."""
    documents = list(yaml.safe_load_all((DEPLOY / path).read_text()))
    grace = re.search(
        r"(?:stop_grace_period|terminationGracePeriodSeconds): (\d+)", (DEPLOY / path).read_text()
    )
    assert all(documents)
    assert grace is not None
    assert int(grace[1]) > Settings().server.shutdown_grace_s
