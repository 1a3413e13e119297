"""EmoCorrector: words of a recording replaced, in the speaker's voice and in the mood of the new text."""
