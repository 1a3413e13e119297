"""Quality of speech enhancement on unseen speakers and noises, beside the enhancers one would pick instead."""
