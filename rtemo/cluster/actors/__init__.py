"""Workers on the machines of a Ray cluster: `pip install 'rtemo[cluster]'`; see docs/scale.md.

Actors start workers and watch them. Audio and events go past them, over ZeroMQ. Nothing else imports Ray.
"""
