"""What all systems share: corpora, audio, one loop, one recipe reader, one run folder, export."""
