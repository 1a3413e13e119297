"""rtemo as a Wyoming server, as Home Assistant speaks it: `pip install 'rtemo[wyoming]'`; see docs/assistants-wyoming.md."""
