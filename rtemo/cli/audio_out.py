"""The audio feed that `serve` and `listen` offer."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtemo.config import Config
    from rtemo.io.sinks.zmq import ZmqAudioSink


def audio_out(config: "Config", endpoint: str | None) -> "ZmqAudioSink | None":
    """Make the sink that publishes processed audio.

    Args:
        config: Packets, keys and tenant.
        endpoint: Where; None or empty for nowhere.
    """
    if not endpoint:
        return None
    import msgspec

    from rtemo.io.sinks.zmq import ZmqAudioSink

    return ZmqAudioSink(msgspec.structs.replace(config.audio_out, endpoint=endpoint), tenant=config.publish.tenant)
