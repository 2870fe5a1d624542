"""What is told of an archive that could not be opened, or whose content could not be used.

A message begins with the archive's address and what could not be done with it. Whether that was the fetching, the
decoding, or what followed it, is told by the part of the pipeline that failed, and never by anybody's words.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from s3napback.encryption.running import AGENT_TROUBLE, STATUS, can_decrypt
from s3napback.environment import Family
from s3napback.errors import PipelineError, StoreError
from s3napback.scarcity import scarcity
from s3napback.streams.culprits import Culprit, ElementsFailed
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Feed

logger = logging.getLogger("s3napback")


class Damaged(PipelineError):
    """What came out of decryption is not what an archive holds."""


class Closed(PipelineError):
    """An archive is whole, and not for whoever looks: its key or passphrase is another, or so is who signed it."""


class Unable(PipelineError):
    """This machine cannot decode, which says nothing of an archive."""


class Unchecked(PipelineError):
    """There is nothing that stored bytes could be compared with."""


class Changed(StoreError):
    """The stored bytes are not those of which a checksum was made."""


class Untrusted(StoreError):
    """The stored bytes are not those whose signature was good."""


_NO_KEY = (
    "it is encrypted to a key that is not here, or that gpg could not unlock: import the secret key into gpg, or set "
    "GpgHome; where nobody can be asked for a passphrase, use --passphrase-file"
)
_NO_TERMINAL = "gpg has no terminal to ask for the passphrase on: use --passphrase-file"
_UNPROTECTED = (
    "it bears no protection against changes, which somebody has taken away, unless a very old gpg made it: “s3napback "
    "help original” tells how such a one is read by hand"
)
_OTHER_WORDS = (
    "the passphrase is wrong. Of --passphrase-file gpg takes the first line as it is, with spaces at its end, and with "
    "the carriage return of a file that was written on Windows"
)
_NOT_TRUSTED = "is not trusted"
_CHANGED = "its bytes have been changed since it was made"
_BROKEN = "its bytes are damaged, or it is not an archive of s3napback"
_SPOILT = (_CHANGED, _BROKEN)
_UNABLE = "gpg cannot work here, which says nothing of its bytes"
_LACKING = "this process lacks what that takes, which says nothing of its bytes"
OF_THIS_MACHINE = (
    *("out of core", "out of memory", "out of secure memory", "Cannot allocate memory", "Out of memory"),
    *("No space left", "Disk quota exceeded", "Too many open files", "Read-only file system", "Permission denied"),
    "Fatal:",
)
"""What gpg and other programs say of what they lack (``strerror(3)``; ``gpg-error --list``)."""
_OF_DECODING = (
    ("manipulated", _CHANGED),
    ("not integrity protected", _UNPROTECTED),
    ("Checksum error", _CHANGED),
    ("Bad passphrase", _OTHER_WORDS),
    ("No passphrase given", "the key needs a passphrase: run on a terminal, or name a file with --passphrase-file"),
    ("Operation cancelled", "the passphrase was not given"),
    ("No pinentry", "gpg cannot ask for the passphrase here: install pinentry, or use --passphrase-file"),
    *AGENT_TROUBLE,
    # Behind this gpg says that it has no secret key, too.
    ("decryption failed: Inappropriate ioctl", _NO_TERMINAL),
    ("No secret key", _NO_KEY),
    ("cannot open passphrase", "the file with the passphrase cannot be read"),
    ("gpg failed", _BROKEN),
    ("decompression failed", _BROKEN),
)


_OF_USE = (
    ("No space left", "there is not enough room for what is restored"),
    ("Disk quota exceeded", "there is not enough room for what is restored: the quota is used up"),
)


def explained(address: str, error: ElementsFailed, consumers: Sequence[object], use: str) -> PipelineError:
    """The failure of a pipeline that opened an archive, as a person needs it.

    Args:
        address: where the archive lies.
        error: what the pipeline raised.
        consumers: those of its elements that come after decompression.
        use: what they do with the content, as a participle: ``extracted``.
    """
    using = [any(culprit.element is consumer for consumer in consumers) for culprit in error.culprits]
    alike = [culprit for culprit, is_using in zip(error.culprits, using, strict=True) if is_using == using[0]]
    words = " ".join(line for culprit in alike for line in culprit.lines)
    heading = _of_use(alike[0], words, use) if using[0] else _of_opening(alike[0], words)
    # What failed because of that would hide it from whoever reads at night.
    for culprit in error.culprits[1:]:
        for line in culprit.lines:
            logger.debug("besides: %s", line)
    kind = Damaged if _is_about_bytes(alike[0], heading) else Closed if _is_closed(heading) else PipelineError
    kind = Unable if heading.endswith((_UNABLE, _LACKING)) else kind
    told = (line for line in error.culprits[0].lines if not line.lstrip().startswith(STATUS))
    return kind(f"{address} {heading}", *(f"  {line}" for line in told))


def is_damage(error: BaseException) -> bool:
    """Whether something failed because of what an archive holds, and not of what this machine or the store lacks."""
    if isinstance(error, ElementsFailed):
        return isinstance(error.culprits[0].error, Damaged | Changed)
    return isinstance(error, Damaged)


def _is_about_bytes(culprit: Culprit, heading: str) -> bool:
    return isinstance(culprit.error, Damaged | Changed) or any(f": {sign}" in heading for sign in _SPOILT)


def _is_closed(heading: str) -> bool:
    return heading == _NOT_TRUSTED or any(
        heading.endswith(f": {sign}") for sign in (_NO_KEY, _NO_TERMINAL, _OTHER_WORDS)
    )


def _of_use(culprit: Culprit, words: str, use: str) -> str:
    if isinstance(culprit.error, Damaged):
        return "does not hold what it should"
    return _with_meaning(f"was decoded, but cannot be {use}", words, _OF_USE)


def _of_opening(culprit: Culprit, words: str) -> str:
    if isinstance(culprit.error, Changed):
        return "is damaged: its bytes have been changed since it was made"
    if culprit.is_judged or isinstance(culprit.error, Untrusted):
        return _NOT_TRUSTED
    if isinstance(culprit.element, Feed):
        return "cannot be fetched"
    if lack := _lack(culprit):
        return f"cannot be decoded: {lack}"
    heading = _with_meaning("cannot be decoded", words, _OF_DECODING)
    stage = culprit.element
    if heading.endswith(_BROKEN) and isinstance(stage, Stage) and stage.family is Family.GPG:
        return heading if can_decrypt(stage.command) else f"cannot be decoded: {_UNABLE}"
    return heading


def _lack(culprit: Culprit) -> str:
    """What keeps this machine from decoding, whatever an archive is like; empty if nothing does."""
    if culprit.error is not None and scarcity(culprit.error):
        return _LACKING
    own = " ".join(culprit.lines)
    # A key that is not found for want of an agent is told by that.
    is_told = "No secret key" not in own and any(sign in own for sign in OF_THIS_MACHINE)
    return _UNABLE if is_told or not culprit.has_worked else ""


def _with_meaning(heading: str, words: str, meanings: Sequence[tuple[str, str]]) -> str:
    """A heading, and what a program's or our own words mean, judged by what they say in English."""
    meaning = next((meaning for sign, meaning in meanings if sign in words), "")
    return f"{heading}: {meaning}" if meaning else heading
