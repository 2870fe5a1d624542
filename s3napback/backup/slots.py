"""Last looks at the slot that an archive goes to, while that is being made: by now it may be somebody else's."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial

from s3napback.archives import Owner
from s3napback.backup.context import RunContext
from s3napback.crews import begin, result_of
from s3napback.deciding.facts import Held
from s3napback.deciding.plans import Plan, why_in_vain, why_not_replaced
from s3napback.errors import SourceRefused, StoreError, StoreUnreachable, Unconfirmed
from s3napback.stores import StoredObject
from s3napback.streams.spooling import Measured

FRESH_SECONDS = 60.0
"""For which an answer counts: making an archive may take hours, in which another machine may have filled the slot."""


class SlotWatch:
    """Asks the store for everything that the archive will replace, or that will be deleted then.

    Of a distant one the plan may rest on a listing, which is minutes old: it is asked at once. Of one that is near,
    each look was a look at the object, and the end is early enough.
    """

    def __init__(self, context: RunContext, plan: Plan) -> None:
        """Begin to ask, if the store is distant."""
        self._context = context
        self._plan = plan
        # An upload of ours whose end nobody has seen may come late.
        self._known = {each.id for each in context.state.noted_uploads(plan.job.name)}
        self._asked: dict[str, Future[StoredObject | None]] = {}
        self._since = -math.inf
        if context.store.is_distant:
            self._ask()

    def _ask(self) -> None:
        self._since = time.monotonic()
        for key in (self._plan.key, *self._plan.superseded):
            self._asked[key] = begin(partial(self._context.store.head, key), "slot")

    def judge(self, *, at_the_end: bool) -> None:
        """Judge the answers that have come; at the end of the archive wait for all of them, and have them be fresh.

        Raises:
            SourceRefused: something there belongs to another owner, or has come from another run of today.
            StoreError: the store did not tell.
        """
        if at_the_end and time.monotonic() - self._since > FRESH_SECONDS:
            self._ask()
        for key, future in list(self._asked.items()):
            if at_the_end or future.done():
                del self._asked[key]
                self._judge(key, result_of(future))

    def _judge(self, key: str, found: StoredObject | None) -> None:
        run, plan = self._context.facts, self._plan
        held = None if found is None else Held.of(found.metadata)
        reason = why_not_replaced(run, Owner(run.host, plan.job.source), plan.taken_over, key, held)
        reason = reason or why_in_vain(run, plan, key, held, self._known)
        if reason:
            raise SourceRefused(reason, "owner")


@contextmanager
def noted_upload(context: RunContext, plan: Plan, identity: str, sent: Measured) -> Iterator[None]:
    """Note an archive while it is on its way, and longer if nobody knows whether it has arrived.

    Of one that had come to its end neither the store's silence tells, nor a signal, nor that a look at it is refused:
    the store may have taken it, or take it yet, and the next run must not think that another machine has made it.
    """
    context.state.note_upload(plan.job.name, plan.key, identity)
    try:
        yield
    except BaseException as error:
        is_refused = isinstance(error, StoreError) and not isinstance(error, (StoreUnreachable, Unconfirmed))
        if is_refused or not sent.is_whole:
            with suppress(OSError):
                context.state.forget_upload(plan.job.name, identity)
        raise
