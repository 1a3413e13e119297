"""The live view: events are reduced to a state, and the state is drawn as lines of styled text."""
