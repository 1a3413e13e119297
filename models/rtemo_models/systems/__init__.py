"""One package per system: network, data, training, export, recipes, steps; none knows another."""
