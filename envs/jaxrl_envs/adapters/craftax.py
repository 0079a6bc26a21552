"""Stub."""

NAMES = ()
