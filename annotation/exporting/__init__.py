"""Taking data out: everything that people said, or rows to train on in the shapes that other tools read."""

from annotation.exporting.items import labelled_rows, pseudonym

__all__ = ["labelled_rows", "pseudonym"]
