"""A collection of text files: the same texts in the same order each time, split into training and test."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from zorro_keras.applications.pipelines.faults import SourceError
from zorro_keras.applications.pipelines.text_formats import MAX_TEXT_BYTES, BadUtf8, kind_of, texts_of_file
from zorro_keras.applications.pipelines.text_scans import FileScan, scan_files

SPLITS = ("train", "test")


class TextFiles:
    """The texts of a file, or of all text files below a folder, in the order of their names.

    Memory does not grow with the files: texts are read one by one, and each reading starts anew. A text
    belongs to the test split or not by a hash of what it says, so equal texts are never in both splits and
    files may be renamed, split or added without moving a text to the other side.

    Args:
        path: file of any name, or folder. Of a folder, `.txt`, `.jsonl`, `.json` and `.tfrecord` files are
            read, `.gz` behind any of them; hidden files are not.
        field: name of the text in JSON lines and TFRecord examples.
        test_fraction: float in [0, 1). Share of the texts that is held out.
        seed: int. Another seed holds out other texts.
        bad_utf8: "raise" or "replace": what happens to bytes that are not UTF-8.

    Attributes:
        paths: tuple of paths.

    Raises:
        SourceError: if there is nothing to read.
        ValueError: if `test_fraction` is out of range.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        field: str = "text",
        test_fraction: float = 0.0,
        seed: int = 0,
        bad_utf8: BadUtf8 = "raise",
    ) -> None:
        if not 0.0 <= test_fraction < 1.0:
            raise ValueError(
                f"`test_fraction` must be within [0, 1). Received: test_fraction={test_fraction}"
            )
        self.root = Path(path)
        self.paths = _files(self.root)
        self.field, self.test_fraction, self.seed, self.bad_utf8 = field, test_fraction, seed, bad_utf8

    @functools.cached_property
    def scans(self) -> tuple[FileScan, ...]:
        """What each file holds. The first use reads all files once, and so checks all texts: `scan_files`.

        Raises:
            SourceError: if a file cannot be read or a text is not UTF-8.
        """
        settings = [self.field, self.test_fraction, self.seed, self.bad_utf8, MAX_TEXT_BYTES]
        return scan_files(self.paths, self._scan, settings)

    @property
    def fingerprint(self) -> str:
        """Hash of all texts, their order and their splits, in hex."""
        about = [self.test_fraction, self.seed, [scan.digest for scan in self.scans]]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def num_texts(self, split: str) -> int:
        """Texts of a split, `"train"` or `"test"`."""
        return sum(scan.num_texts[split] for scan in self.scans)

    def texts(self, split: str | None = None) -> Iterator[str]:
        """Yields the texts of a split, or of both, file by file."""
        for file in range(len(self.paths)):
            yield from self.texts_of(file, split)

    def texts_of(self, file: int, split: str | None = None) -> Iterator[str]:
        """Yields the texts of the file at an index of `paths`."""
        if split not in (None, *SPLITS):
            raise ValueError(f"`split` must be one of {SPLITS} or None. Received: split={split!r}")
        for text in self._read(self.paths[file]):
            if split is None or self._split(self._hash(text)) == split:
                yield text

    def _scan(self, path: Path) -> FileScan:
        counts, digest = dict.fromkeys(SPLITS, 0), hashlib.sha256()
        for text in self._read(path):
            key = self._hash(text)
            counts[self._split(key)] += 1
            digest.update(key)
        return FileScan(counts, digest.hexdigest())

    def _read(self, path: Path) -> Iterator[str]:
        return texts_of_file(path, field=self.field, bad_utf8=self.bad_utf8)

    def _hash(self, text: str) -> bytes:
        salt = self.seed.to_bytes(8, "little")
        return hashlib.blake2b(text.encode("utf-8"), digest_size=16, salt=salt).digest()

    def _split(self, key: bytes) -> str:
        return "test" if int.from_bytes(key[:8], "little") < self.test_fraction * 2**64 else "train"


def _files(root: Path) -> tuple[Path, ...]:
    if root.is_file():
        return (root,)
    if not root.exists():
        raise SourceError("There is no such file or folder.", path=root, stage="open", reason="missing_file")
    found = [
        path
        for path in sorted(root.rglob("*"))
        if kind_of(path.name) and path.is_file() and not path.name.startswith(".")
    ]
    if not found:
        raise SourceError(
            "The folder holds no text: expected .txt, .jsonl, .json or .tfrecord files, also with .gz.",
            path=root, stage="open", reason="empty_source",
            advice="Point to a text file or a folder of such files.",
        )  # fmt: skip
    return tuple(found)
