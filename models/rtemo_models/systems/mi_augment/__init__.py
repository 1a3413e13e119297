"""Features generated under mutual information, to train more from less: see README.md."""
