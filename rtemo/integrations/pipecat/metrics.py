"""RtemoMetricsData: how the ear of one pipeline fares, for observers."""

from pipecat.metrics.metrics import MetricsData


class RtemoMetricsData(MetricsData):
    """Sent in a `MetricsFrame` every few seconds where the pipeline's `enable_metrics` is on.

    Parameters:
        latency_s: By how much the audio is handed on later than it came.
        plain_share: Share of the audio that was handed on as it came, since the engine was late.
        exchange_p99_us: Longest time but one in a hundred that a frame took in this processor.
        load: Mean busy time of the engine as a share of real time, over all callers.
        callers: Streams in the engine.
    """

    latency_s: float
    plain_share: float
    exchange_p99_us: float
    load: float
    callers: int
