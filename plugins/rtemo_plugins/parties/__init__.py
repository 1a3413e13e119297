"""parties: which of two people on one line speaks, by their voices alone; an estimate, beside the tick."""
