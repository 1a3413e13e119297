"""ChiReSSD: disordered speech said again, clearly and in the same voice."""
