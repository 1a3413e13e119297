"""A publisher as a process of its own, to be killed: python -m tests.fakes.zmq_publisher EVENTS CALLS PER_SECOND."""

import sys
import time

from rtemo.api import StreamStart
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.zmq_options import PublishOptions
from tests.fakes.zmq_ends import event


def main(endpoint: str, calls: int, per_s: float) -> None:
    publisher = ZmqPublisher(PublishOptions(events=endpoint, heartbeat_s=0.2))
    publisher.open()
    names = [f"call {index}" for index in range(calls)]
    publisher.publish([event(name, 1, StreamStart()) for name in names])
    print("open", flush=True)
    number, due_s = 1, time.monotonic()
    while True:
        publisher.tick()
        if time.monotonic() >= due_s:
            number += 1
            due_s += 1 / per_s
            publisher.publish([event(name, number) for name in names])
        time.sleep(0.005)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
