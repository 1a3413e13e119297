"""Print the moods of all calls as a publisher tells them, until Ctrl-C.

Run: python examples/subscribe.py [ENDPOINT].
"""

import sys

from rtemo import Subscriber
from rtemo.api import RtemoError

endpoint = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5570"

try:
    with Subscriber(endpoint, kinds=["emotion", "stream_end"]) as subscriber:
        for event in subscriber:
            if event.kind == "stream_end":
                print(f"{event.call}/{event.channel}  over; {subscriber.lost_events} events lost on the way")
            elif event.data.is_final:
                print(f"{event.call}/{event.channel}  {event.t1_ms / 1000:6.1f} s  {event.data.label}")
except KeyboardInterrupt:
    pass
except RtemoError as error:  # nobody publishes there, say
    sys.exit(str(error))
