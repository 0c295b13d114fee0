"""`file:PATH`: a password in a file. A trailing line end is not part of it.

The next password of a rotation is `PATH.next`, which takes the place of `PATH` in one step. Both are written whole or not
at all, and are on the disk before the rotation goes on.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from access.credentials.base import Credential
from access.credentials.errors import SecretNotThere, StoreNotWritable
from access.credentials.references import Reference
from connectors.base import Secret


class FileSecret:
    """Read each time."""

    is_local = True

    def __init__(self, reference: Reference) -> None:
        self._named = Path(reference.place)

    def fetch(self) -> Credential:
        """What the file holds."""
        value = self._read(self._named)
        if not value:
            raise SecretNotThere(f"The file {self._named} is empty.")
        return Credential(Secret(value))

    def fetch_next(self) -> Secret | None:
        """What the file beside it holds."""
        try:
            value = self._read(self._beside)
        except SecretNotThere as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return Secret(value) if value else None

    def keep_next(self, secret: Secret) -> Secret:
        """A link is made to a file that is whole; it fails where there is one already."""
        with _told(self._beside), self._written(secret) as draft:
            try:
                os.link(draft, self._beside)
            except FileExistsError:
                return self.fetch_next() or self._mend_empty(draft, secret)
            self._settle_folder()
        return secret

    def promote(self, secret: Secret) -> None:
        """One rename."""
        with _told(self._path):
            if self.fetch().secret == secret:
                self._beside.unlink(missing_ok=True)
            elif self.fetch_next() == secret:
                self._beside.replace(self._path)
            else:
                with self._written(secret) as draft:
                    os.replace(draft, self._path)
            self._settle_folder()

    @property
    def _path(self) -> Path:
        """The file itself, where a link leads to it: the link stays what it is."""
        return Path(os.path.realpath(self._named))

    @property
    def _beside(self) -> Path:
        return self._path.with_name(f"{self._path.name}.next")

    @staticmethod
    def _read(path: Path) -> str:
        try:
            return path.read_text().rstrip("\r\n")
        except OSError as error:
            raise SecretNotThere(f"The file {path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError:
            # Without its cause: that holds what the file holds.
            raise SecretNotThere(f"The file {path} is not text in UTF-8.") from None

    def _mend_empty(self, draft: Path, secret: Secret) -> Secret:
        """Somebody left an empty file there, which is no secret."""
        os.replace(draft, self._beside)
        self._settle_folder()
        return secret

    @contextmanager
    def _written(self, secret: Secret) -> Iterator[Path]:
        """A whole file in the same folder, readable by whom the current one is readable; gone afterwards."""
        like = self._path.stat()
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                if (os.geteuid(), os.getegid()) != (like.st_uid, like.st_gid):
                    os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), like.st_mode & 0o777)
                file.write(secret.reveal() + "\n")
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def _settle_folder(self) -> None:
        """A name is on the disk when its folder is."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what_to_do = (
            "Lockgate has to be able to write to its folder, which may not be mounted read-only or file by file."
        )
        raise StoreNotWritable(f"{path}: {error.strerror}. {what_to_do}") from error
