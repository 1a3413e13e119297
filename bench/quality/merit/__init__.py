"""Quality of Sparse MERIT: its arms side by side, and what its experts do."""
