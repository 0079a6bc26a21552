"""Another name for a folder, for programs that take some characters of a path to mean something."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from pathlib import Path

_PLAIN = re.compile(r"[\w./+=@,~ -]*", re.ASCII)
_PLACES = (None, "/tmp", "/var/tmp")


class Aliases:
    """Plain paths of folders: their own, or a symbolic link elsewhere where that has other characters than most have.

    The links are in a folder of this process's own, which goes with this object.
    """

    def __init__(self) -> None:
        self._place: Path | None = None
        self._of: dict[Path, Path] = {}
        self._forget: weakref.finalize | None = None

    def of(self, folder: Path) -> Path:
        """A path of plain characters that leads to ``folder``, which is absolute.

        Raises:
            OSError: no link can be made.
        """
        if _PLAIN.fullmatch(str(folder)):
            return folder
        if folder not in self._of:
            link = self._links() / f"folder_{len(self._of)}"
            link.symlink_to(folder, target_is_directory=True)
            self._of[folder] = link
        return self._of[folder]

    def close(self) -> None:
        """Delete the links."""
        if self._forget is not None:
            self._forget()
        self._place, self._of, self._forget = None, {}, None

    def _links(self) -> Path:
        if self._place is None:
            plain = [place for place in _PLACES if _PLAIN.fullmatch(place or tempfile.gettempdir())]
            self._place = Path(tempfile.mkdtemp(prefix="jaxrl-", dir=plain[0]))
            self._forget = weakref.finalize(self, shutil.rmtree, str(self._place), ignore_errors=True)
        return self._place
