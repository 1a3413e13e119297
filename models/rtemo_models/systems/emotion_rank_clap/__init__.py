"""EmotionRankCLAP: voices and descriptions of voices in one space, in the order of valence and arousal."""
