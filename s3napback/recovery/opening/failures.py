"""What is told of an archive that could not be opened, or whose content could not be used."""

from __future__ import annotations

from s3napback.errors import PipelineError


class Damaged(PipelineError):
    """What came out of decryption is not what an archive holds."""


_NO_KEY = (
    "it is encrypted to a key that is not here, or that gpg could not unlock: import the secret key into gpg, or set "
    "GpgHome; where nobody can be asked for a passphrase, use --passphrase-file"
)
_MEANINGS = (
    ("manipulated", "its bytes have been changed since it was made"),
    ("not integrity protected", "its bytes have been changed since it was made"),
    ("Checksum error", "its bytes have been changed since it was made"),
    ("Bad passphrase", "the passphrase is wrong"),
    ("No passphrase given", "the key needs a passphrase: run on a terminal, or name a file with --passphrase-file"),
    ("Operation cancelled", "the passphrase was not given"),
    ("No pinentry", "gpg cannot ask for the passphrase here: install pinentry, or use --passphrase-file"),
    ("No secret key", _NO_KEY),
    (
        "decryption failed: Inappropriate ioctl",
        "gpg has no terminal to ask for the passphrase on: use --passphrase-file",
    ),
    ("cannot open passphrase", "the file with the passphrase cannot be read"),
    ("No space left", "there is not enough room for what is restored"),
    ("gpg failed", "its bytes are damaged, or it is not an archive of s3napback"),
    ("is damaged", "its bytes have been changed since it was made"),
    ("decompression failed", "its bytes are damaged, or it is not an archive of s3napback"),
)


def meaning_of(words: str) -> str:
    """What the failure of a stage means, judged by what gpg and the others say in English; empty if that is plain."""
    return next((meaning for sign, meaning in _MEANINGS if sign in words), "")
