"""What a server leaves out of its chain: what callers say is not written down unless the policy lets it be."""

import msgspec

from rtemo.cli import options
from rtemo.config import Config


def without_words(config: Config) -> tuple[Config, str]:
    """Leave plugins out that write down what is said, unless the policy lets them.

    Returns:
        The configuration, and a sentence about what was left out; empty when nothing was.
    """
    if config.policy.words == "always":
        return config, ""
    verbatim = [spec.name for spec in options.specs_of(config, config.chain) if spec.is_verbatim]
    if not verbatim:
        return config, ""
    chain = tuple(name for name in config.chain if name not in verbatim)
    names = ", ".join(verbatim)
    problem = f"{names} left out of the chain: what callers say is written down only if policy.words is 'always'"
    return msgspec.structs.replace(config, chain=chain), problem
