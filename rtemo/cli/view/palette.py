"""Styles by name: colours that read on a dark and on a light ground, never the only signal."""

from rich.style import Style

EMOTION_COLOURS = {
    "neutral": "#8a8f98",
    "calm": "#2fa8a0",
    "happy": "#d9a514",
    "sad": "#4a8ff0",
    "angry": "#e5484d",
    "fear": "#9a6bf2",
    "disgust": "#4aa457",
    "surprise": "#ee7a1f",
}

_STYLES = {
    "": "",
    "dim": "#7d828c",
    "track": "#4a4f59",
    "bold": "bold",
    "brand": "bold #ee7a1f",
    "speech": "bold #3fae54",
    "good": "#3fae54",
    "warm": "#d9a514",
    "hot": "#e5484d",
    "trouble": "bold #e5484d",
    "frame": "#5d626d",
    "frame_speech": "#3fae54",
    "rising": "#ee7a1f",
    "falling": "#4a8ff0",
    "rising_on": "reverse #ee7a1f",
    "falling_on": "reverse #4a8ff0",
}


def styles() -> dict[str, Style]:
    """Parse all styles once."""
    parsed = {name: Style.parse(text) for name, text in _STYLES.items()}
    for label, colour in EMOTION_COLOURS.items():
        parsed[label] = Style.parse(colour)
        parsed[f"{label}_bold"] = Style.parse(f"bold {colour}")
    return parsed
