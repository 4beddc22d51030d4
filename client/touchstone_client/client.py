"""A person at a server."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from touchstone_client.project import Project
from touchstone_client.shapes import ProjectRow
from touchstone_client.transport import Transport


class Client:
    """`Client("https://touchstone.example", key)`, with the key from `sign_in` or from your server's pages. Use it in a
    `with` block, or `close` it."""

    def __init__(self, url: str, key: str, **more: Any) -> None:
        self._transport = Transport(url, key, **more)

    @classmethod
    def sign_in(cls, url: str, username: str, password: str, **more: Any) -> Self:
        """A client with this person's key."""
        with cls(url, "", **more) as nobody:
            body = {"username": username, "password": password}
            key = nobody._transport.post("token/", body, known_again=False)["token"]
        return cls(url, key, **more)

    def projects(self) -> Iterator[ProjectRow]:
        """The projects you belong to."""
        return self._transport.pages("projects/")

    def project(self, slug: str) -> Project:
        """One project, by its address; nothing is asked of the server yet."""
        return Project(self._transport, slug)

    def close(self) -> None:
        self._transport.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
