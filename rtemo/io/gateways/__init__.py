"""Gateways: sources that telephone systems connect to, one protocol per file."""
