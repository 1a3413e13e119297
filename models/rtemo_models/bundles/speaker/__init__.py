"""The speaker bundle: Resemblyzer's network (Apache-2.0), exported by `rtemo_models.systems.speaker.export`."""
