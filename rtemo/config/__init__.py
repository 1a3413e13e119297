"""Layer 3: the configuration, one TOML file for everything."""

from rtemo.config.files import SEARCH_ORDER, find_file, load_config, parse_config
from rtemo.config.plugins import installed_options
from rtemo.config.policy import Policy
from rtemo.config.toml_text import render
from rtemo.config.tree import Config, ListenOptions

__all__ = [
    "SEARCH_ORDER",
    "Config",
    "ListenOptions",
    "Policy",
    "find_file",
    "installed_options",
    "load_config",
    "parse_config",
    "render",
]
