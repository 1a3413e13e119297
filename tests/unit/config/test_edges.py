import logging

import pytest

from rtemo.api import ConfigError
from rtemo.config import Config, load_config, parse_config, render
from rtemo.config.edges import TABLES, edge_options
from rtemo.io.sinks.options import PlayOptions
from rtemo.io.zmq_options import IngestOptions, PublishOptions

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("ingest", "sources.zmq"),
        ("microphone", "sources.microphone"),
        ("stdin", "sources.stdin"),
        ("file", "sources.file"),
        ("publish", "publishers.zmq"),
        ("audio_out", "sinks.zmq"),
        ("play", "sinks.speaker"),
    ],
)
def test_table_under_its_former_name_counts_and_one_line_tells_the_present_one(
    former: str, now: str, caplog: pytest.LogCaptureFixture
) -> None:
    table, name = now.split(".")
    with caplog.at_level(logging.WARNING):
        config = parse_config(f"chain = []\n[{former}]", "old.toml")
    assert getattr(config, table) == {name: {}}
    assert caplog.messages == [f"old.toml: [{former}] is called [{now}] now"]


def test_former_and_present_names_meet_key_by_key() -> None:
    text = """
        [sources.zmq]
        lost_s = 3
        idle_s = 5
        curve = {allowed_clients = ["x"]}
        [ingest]
        idle_s = 7
        curve = {key_file = "k"}
    """
    options = parse_config(text).edge("sources", "zmq", IngestOptions)
    assert (options.lost_s, options.idle_s) == (3, 7)
    assert (options.curve.key_file, options.curve.allowed_clients) == ("k", ("x",))


def test_single_settings_reach_an_edge_under_both_names(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(settings=["publishers.zmq.tenant=a", "publish.encoding=msgpack", "sinks.speaker.latency_s=1"])
    publish = config.edge("publishers", "zmq", PublishOptions)
    assert (publish.tenant, publish.encoding) == ("a", "msgpack")
    assert config.edge("sinks", "speaker", PlayOptions).latency_s == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sources.zqm]", r"r.toml: there is no source for \[sources.zqm\]; did you mean 'zmq'?"),
        ("[publishers.jsonl]\npat = 1", "unknown key publishers.jsonl.pat; did you mean 'path'?"),
        ("[sinks]\nzmq = 3", r"sinks.zmq is not a table; write \[sinks.zmq\]"),
        ("[sinks.zmq]\npacket_s = 7", "sinks.zmq.packet_s is 7, expected"),
        ("ingest = 3", "unknown key ingest"),
    ],
)
def test_what_is_no_edge_or_option_of_one_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config(text, "r.toml")


def test_every_installed_edge_is_printed_with_its_descriptions_and_loads_back() -> None:
    def fail(error: Exception) -> None:
        raise error

    tables = {table: edge_options(table, {}, fail) for table in TABLES}
    assert {"zmq", "microphone", "stdin", "file"} <= set(tables["sources"])
    assert {"zmq", "jsonl", "console"} <= set(tables["publishers"])
    assert {"zmq", "speaker"} <= set(tables["sinks"])
    text = render(Config(), tables)
    assert "# Endpoint audio is sent to, tcp://ADDRESS:PORT or ipc://PATH." in text
    again = parse_config(text)
    assert {table: edge_options(table, getattr(again, table), fail) for table in TABLES} == tables
