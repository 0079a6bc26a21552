"""Preferences: oracles, win rates, games with their metrics, and methods that play them.

Two units: a probability ``P`` in [0, 1], and an advantage ``A = 2 P - 1`` in [-1, 1]. Names say which one is meant.
"""
