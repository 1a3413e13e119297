"""rtemo as a Wyoming server, for Home Assistant: `pip install 'rtemo[wyoming]'`; see docs/assistants-wyoming.md."""
