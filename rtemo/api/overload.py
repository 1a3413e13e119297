"""Overload: what plugins give up, and in which order, while a live engine cannot carry its load."""

from typing import Literal, get_args

GivesWay = Literal["extras", "queries", "words", "spoof", "enhancement", "rate"]
"""What a plugin can do without, in the order in which an engine that cannot carry its load gives it up.

`extras`: what explains others' findings or adds to them. `queries`: how near a voice is to descriptions. `words`: what
is said. `spoof`: signs of a synthetic voice. Of a plugin that stands at one of these four nothing is left: its lanes
are given no windows, or, where it has none, it is not called; its marks read unknown, its audio passes at equal delay.
Who was not called is `reset` for all rows before it is called again.

`enhancement`: audio passes as it came in, equally late; `block.is_audio_wanted` says that nobody wants any, and all
else of the plugin goes on. `rate`: what it finds is told less often; `block.thrift` says by how much, and its lanes get
every so many of their strides.
"""

OVERLOAD_ORDER: tuple[GivesWay, ...] = get_args(GivesWay)
"""What is given up first stands first, and comes back last."""

THRIFT = 4
"""How many times less often than usual is told what has given up its `rate`."""
