"""Experts: the kinds of mood that have a detector of synthetic voices of their own."""

EXPERTS = ("neutral", "happy", "angry", "sad")
"""Names of the experts, in the order of every gate and of every bundle's `experts` output."""

EXPERT_OF = {
    "neutral": "neutral",
    "calm": "neutral",
    "happy": "happy",
    "surprise": "happy",
    "angry": "angry",
    "disgust": "angry",
    "sad": "sad",
    "fear": "sad",
}
"""Emotion → the expert that answers for it: the recogniser tells eight emotions, published data has four."""

GATE_POWER = 4.0
"""Power to which the shares of the gate are raised before experts are mixed.

A recogniser hesitates between moods more than experts gain from being averaged: between mixing in full (1) and trusting
the likeliest expert alone (without bound), see the results of the recipe.
"""
