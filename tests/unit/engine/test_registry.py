from importlib.metadata import EntryPoint
from typing import ClassVar

import msgspec
import pytest

from rtemo.api import PluginError, PluginSpec
from rtemo.engine import registry

pytestmark = pytest.mark.unit


class SpeedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    factor: int = 1


class SpeedPlugin:
    options_type: ClassVar[type[msgspec.Struct]] = SpeedOptions

    def __init__(self, options: SpeedOptions) -> None:
        self.options = options
        self.spec = PluginSpec(name="speed")


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        name: EntryPoint(name, value, registry.GROUP)
        for name, value in (
            ("speed", "rtemo_speed:SpeedPlugin"),
            ("alias", "rtemo_speed:SpeedPlugin"),
            ("broken", "no_such_package.plugin:Plugin"),
        )
    }
    monkeypatch.setattr(registry, "installed", lambda: points)
    import sys
    from types import ModuleType

    module = ModuleType("rtemo_speed")
    module.SpeedPlugin = SpeedPlugin  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rtemo_speed", module)


def test_plugin_is_made_with_defaults_a_mapping_or_ready_options() -> None:
    assert registry.make("speed").options.factor == 1  # type: ignore[attr-defined]
    assert registry.make("speed", {"factor": 3}).options.factor == 3  # type: ignore[attr-defined]
    options = SpeedOptions(factor=4)
    assert registry.make("speed", options).options is options  # type: ignore[attr-defined]


def test_unknown_plugin_is_refused_with_what_is_installed() -> None:
    with pytest.raises(
        PluginError, match=r"there is no plugin 'vaad' \(installed: speed, alias, broken\); correct `chain`"
    ):
        registry.make("vaad")


def test_plugin_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(
        PluginError,
        match=r"plugin 'broken' cannot be imported \(ModuleNotFoundError: No module named 'no_such_package'\)",
    ):
        registry.make("broken")


@pytest.mark.parametrize("options", [{"factr": 2}, {"factor": "fast"}])
def test_wrong_option_is_refused_by_name(options: dict[str, object]) -> None:
    with pytest.raises(PluginError, match=r"plugin 'speed' refuses its options \(.*fact.*\); see `rtemo config`"):
        registry.make("speed", options)


def test_plugin_must_carry_the_name_it_is_installed_under() -> None:
    with pytest.raises(PluginError, match="the plugin installed as 'alias' calls itself 'speed'"):
        registry.make("alias")
