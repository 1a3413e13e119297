"""The gem-large bundle: `gem-large.graft`, which is joined behind the graph of merit-large, and its card."""
