"""Dialogue: what two parties or more of a call do with its time: shares, talk-over, interruptions and dead air."""
