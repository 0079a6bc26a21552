"""Settings in general: nested dataclasses, dotted fields, grids, names, entry points."""
