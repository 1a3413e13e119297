import pytest

from rtemo.api import ConfigError
from rtemo.config import Config, find_file, load_config
from rtemo.extensions import chains

pytestmark = pytest.mark.unit


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty working folder and an empty home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RTEMO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    return tmp_path


def write(path, capacity):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[engine]\ncapacity = {capacity}\n")
    return path


def test_without_any_file_the_defaults_hold(places):
    assert find_file() is None
    assert load_config() == Config()


def test_files_are_looked_for_in_order(places, monkeypatch):
    write(places / "xdg" / "rtemo" / "rtemo.toml", 1)
    assert load_config().engine.capacity == 1
    write(places / "rtemo.toml", 2)
    assert load_config().engine.capacity == 2
    monkeypatch.setenv("RTEMO_CONFIG", str(write(places / "env.toml", 3)))
    assert load_config().engine.capacity == 3
    assert load_config(write(places / "asked.toml", 4)).engine.capacity == 4


def test_a_file_that_was_asked_for_must_exist(places, monkeypatch):
    with pytest.raises(ConfigError, match=r"--config names 'no.toml', which is not a file"):
        load_config("no.toml")
    monkeypatch.setenv("RTEMO_CONFIG", "gone.toml")
    with pytest.raises(ConfigError, match=r"RTEMO_CONFIG names 'gone.toml'"):
        load_config()


def test_a_missing_home_is_no_trouble(places, monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME", raising=False)
    assert find_file() is None


def test_single_settings_come_on_top_of_the_file(places):
    write(places / "rtemo.toml", 2)
    config = load_config(
        settings=["engine.ring_s=3", "sources.microphone.device=USB", "chain=[]", "plugins.vad.hangover_ms=250"]
    )
    assert (config.engine.capacity, config.engine.ring_s) == (2, 3.0)
    assert config.sources["microphone"]["device"] == "USB"
    assert config.chain == ()
    assert config.plugin_options("vad") == {"hangover_ms": 250}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("engine.capacity", "expected key.path=value"),
        ("=3", "expected key.path=value"),
        ("engine.capcity=3", "did you mean 'capacity'?"),
        ("engine.capacity=many", 'engine.capacity is "many", expected a whole number'),
        ("engine.capacity.x=1", "capacity in engine.capacity.x is not a table"),
    ],
)
def test_a_wrong_setting_is_refused_under_its_own_name(places, setting, words):
    with pytest.raises(ConfigError) as caught:
        load_config(settings=[setting])
    assert words in str(caught.value)
    assert "--set" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"# " + b"x" * (1 << 20), "over 1 MiB"),
        (b"a = = 1", "is not valid TOML"),
        (b"a = " + b"[" * 100_000, "is not valid TOML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_in_one_line(places, content, words):
    (places / "rtemo.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_file(places):
    file = places / "bom.toml"
    file.write_bytes(b"\xef\xbb\xbf[engine]\r\ncapacity = 7\r\n")
    assert load_config(file).engine.capacity == 7


def test_errors_of_the_chain_option_name_it_and_not_another(places):
    with pytest.raises(ConfigError, match=r"^--chain: number 2 is 'vda', which is not installed; did you mean 'vad'"):
        load_config(None, (), ["level", "vda"])
    assert load_config(None, ("engine.capacity=3",), ["vad"]).chain == ("vad",)


def test_the_name_of_a_chain_stands_for_its_plugins_wherever_a_chain_is_named(places):
    small = chains()["small"]
    assert load_config(chain=["small"]).chain == Config(chain=("small",)).chain == small
    assert load_config(settings=['chain=["small", "rationale"]']).chain == (*small, "rationale")
    (places / "rtemo.toml").write_text('chain = ["default", "turntaking"]\n')
    assert load_config().chain == (*chains()["default"], "turntaking")
    with pytest.raises(ConfigError, match=r"chain\[0\] is 'smal', which is not installed") as caught:
        load_config(settings=['chain=["smal"]'])
    assert "'small'" in caught.value.mend
