"""Warnings that are meant for whoever gives a command, and are shown there as a sentence."""

from __future__ import annotations


class Notice(Warning):
    """Something to know about what was asked for, which does not keep it from being done."""
