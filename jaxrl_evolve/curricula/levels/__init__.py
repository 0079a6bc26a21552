"""Curricula of levels: which of endlessly many are worth playing, and playing again."""
