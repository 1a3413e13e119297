"""Asyncio: a session whose streams are pushed into with `await`, and whose turns and events are looped over."""
