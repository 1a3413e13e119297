"""Integrations: rtemo in the places that other frameworks of voice assistants have for it, each an extra."""
