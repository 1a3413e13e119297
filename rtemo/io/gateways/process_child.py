"""The process of a gateway: opens it, and hands what comes to the session until that goes."""

import importlib
import signal
import sys
import time
from multiprocessing.connection import Connection

import msgspec

from rtemo.api import RtemoError, StreamFormat
from rtemo.io.gateways import process_wire as wire
from rtemo.io.gateways.gateway import Gateway
from rtemo.io.gateways.process_desk import ProcessDesk
from rtemo.io.gateways.relay_desk import RelayDesk


def main() -> int:
    """Serve the socket whose descriptor is the one argument."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the session, which ends this process
        signal.signal(number, signal.SIG_IGN)
    pipe = Connection(int(sys.argv[1]))
    try:
        opening = wire.decode_opening(pipe.recv_bytes())
        gateway = _make(opening)
        desk = _desk(pipe, opening, gateway.name)
        try:
            gateway.open(desk)
        except RtemoError as error:
            pipe.send_bytes(wire.encode(wire.Ready({}, type(error).__name__, error.problem, error.mend)))
            return 1
        pipe.send_bytes(wire.encode(wire.Ready({name: str(end) for name, end in gateway.endpoints.items()})))
        try:
            _serve(gateway, desk)
        finally:
            gateway.close()
        desk.hand_over(gateway)
        desk.close()
    except (EOFError, OSError):
        pass  # the session is gone, and so is whoever would want to know
    return 0


def _make(opening: wire.Opening) -> Gateway:
    module, _, name = opening.source.partition(":")
    cls = getattr(importlib.import_module(module), name)
    gateway: Gateway = cls(msgspec.convert(opening.options, cls.options_type))
    return gateway


def _desk(pipe: Connection, opening: wire.Opening, name: str) -> ProcessDesk | RelayDesk:
    format = StreamFormat(opening.sample_rate_hz, opening.hop_samples)
    if opening.relay:
        return RelayDesk(pipe, format, opening.relay, name)
    return ProcessDesk(pipe, format)


def _serve(gateway: Gateway, desk: ProcessDesk | RelayDesk) -> None:
    """Pump until the session says that it is over."""
    while not desk.state.is_over:
        began_s = time.monotonic()
        delay_s = gateway.pump()
        desk.hand_over(gateway)
        if desk.state.is_draining and not gateway.is_draining:
            gateway.drain()
        time.sleep(max(0.0, began_s + (delay_s or 0.0) - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())
