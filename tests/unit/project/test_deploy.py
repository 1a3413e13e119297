"""What is in deploy/: nothing there names a metric, a file or an option that does not exist."""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

pytest.importorskip("prometheus_client", reason="the extra `web` is not installed")
pytest.importorskip("starlette", reason="the extra `web` is not installed")

from rtemo.api import Counters, Event, Health
from rtemo.api.events import LaneState, PluginTiming
from rtemo.cli.serve import command as serve
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.web.access import Tokens
from rtemo.io.web.hub import Hub
from rtemo.io.web.link import EVENT, Frame
from rtemo.io.web.metrics import Metrics
from rtemo.io.web.options import WebOptions
from rtemo.io.wire import encode
from tests.fakes.web_events import call_events, event

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
NAME = re.compile(r"\brtemo_[a-z0-9_]+")


@pytest.fixture(scope="module")
def told() -> set[str]:
    """Names of the metrics that /metrics tells of a running engine."""
    hub = Hub(WebOptions(), Tokens(""))
    metrics = Metrics(hub)
    hub.on_event = metrics.count
    numbering = Numbering("main")
    plugin = PluginTiming(name="vad", busy_p50_us=1, busy_p99_us=1, busy_max_us=1, wait_p50_us=1, load=0.1, xruns=0)
    health = Health(
        streams=1, capacity=2, ticks=3, load=0.1, tick_p50_us=1, tick_p99_us=1, late_p99_us=1, counters=Counters(),
        plugins=(plugin,), lanes=(LaneState(name="meaning.score"),),
    )  # fmt: skip
    events: list[Event] = [*call_events("a"), event("", health)]
    for one in events:
        hub.take(Frame(EVENT, one.kind, encode(numbering.number(one)[1])))
    lines = metrics.text().decode().splitlines()
    families = {line.split()[2] for line in lines if line.startswith("# TYPE")}  # also of those without a value yet
    samples = {match[0] for line in lines if not line.startswith("#") and (match := NAME.match(line))}
    return families | samples


def test_every_panel_of_the_dashboard_asks_for_metrics_that_are_told(told: set[str]) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "rtemo.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(asked) > 20
    for expression in asked:
        names = set(NAME.findall(expression))
        assert names, expression
        assert names <= told, f"{expression} asks for {names - told}"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_rules_of_prometheus_are_about_metrics_that_are_told(told: set[str]) -> None:
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert set(NAME.findall(rule["expr"])) <= told, rule
        assert rule["annotations"]["summary"]
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["rules.yml"]
    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == [f"127.0.0.1:{WebOptions().port}"]


def test_the_compose_file_mounts_what_is_there_and_gives_nobody_more_than_needed() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"], mount
    build = compose["services"]["rtemo"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_the_image_is_built_from_the_lock_without_root_and_with_warm_kernels() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    joined = text.replace("\\\n", " ")
    installs = [line for line in re.split(r"\n|&&", joined) if "pip install" in line]
    assert installs
    for line in installs:
        assert "--no-deps" in line, line
        assert "--require-hashes" in line or "--no-index" in line, line
    final = joined.split("\nFROM ")[-1]
    assert re.search(r"^USER 10001$", final, re.MULTILINE)
    assert final.index("USER 10001") < final.index("rtemo warm") < final.index("ENTRYPOINT")
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    for line in re.findall(r"^COPY (?!--from)(.+)$", joined, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source.split('/')[0]}" in ignored, source


def words_of(line: str) -> list[str]:
    return [word for word in line.split() if word.startswith("--")]


def test_the_service_asks_for_options_that_serve_has_and_is_shut_in() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / "rtemo.service")
    service = parser["Service"]
    known = {option for parameter in serve.params for option in parameter.opts}
    assert set(words_of(service["ExecStart"])) <= known
    for key in ("NoNewPrivileges", "DynamicUser", "PrivateDevices", "ProtectHome", "RestrictNamespaces"):
        assert service[key] == "yes", key
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert "MemoryDenyWriteExecute" not in service  # kernels are compiled to machine code


def test_systemd_finds_nothing_wrong_with_the_service(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "rtemo.service"  # its programs are not installed here; any that are will do
    unit.write_text(re.sub(r"/opt/rtemo/bin/rtemo", "/bin/true", (DEPLOY / "rtemo.service").read_text()))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=30
    )
    said = [line for line in done.stderr.splitlines() if "rtemo.service" in line]
    assert not said, done.stderr
