"""Quality of the corpus pipeline: speakers, cuts, gates, retrieval, and agreement that is got back."""
