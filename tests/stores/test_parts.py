"""The plan by which uploads are cut, on numbers."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.config.bandwidth import UNLIMITED
from s3napback.stores.part_body import PartBody
from s3napback.stores.parts import MEBIBYTE, PartLimits, PartPlan, buffer_budget, plan_parts
from s3napback.stores.s3_upload import PartBuffers
from s3napback.stores.throttle import Throttle

LIMITS = PartLimits()
CHUNK = 25_000_000


def test_parts_have_the_chunk_size_where_nothing_else_is_known() -> None:
    plan = plan_parts(CHUNK, None, LIMITS)
    assert {plan.size(number) for number in (1, 2, 4_999, 5_000)} == {CHUNK}
    assert not any(plan.grows_at(number) for number in range(1, 5_001))


def test_parts_double_past_the_five_thousandth_and_every_thousand_after() -> None:
    plan = PartPlan(CHUNK)
    sizes = [plan.size(number) // CHUNK for number in (5_001, 6_000, 6_001, 7_000, 7_001, 8_001, 9_001, 10_000)]
    assert sizes == [2, 2, 4, 4, 8, 16, 32, 32]
    assert [number for number in range(1, 10_001) if plan.grows_at(number)] == [5_001, 6_001, 7_001, 8_001, 9_001]
    assert sum(plan.size(number) for number in range(1, 10_001)) == 67_000 * CHUNK


def test_an_expected_size_that_needs_too_many_parts_makes_them_larger() -> None:
    assert plan_parts(CHUNK, 5_000 * CHUNK, LIMITS).first_size == CHUNK
    larger = plan_parts(CHUNK, 5_000 * CHUNK + 1, LIMITS).first_size
    assert CHUNK < larger <= CHUNK + MEBIBYTE
    assert larger % MEBIBYTE == 0


def test_sizes_stay_within_what_stores_allow() -> None:
    assert plan_parts(1, None, LIMITS).first_size == 5 * MEBIBYTE
    assert plan_parts(10**12, None, LIMITS).first_size == 5 * 1024 * MEBIBYTE
    assert PartPlan(4 * 1024 * MEBIBYTE).size(10_000) == 5 * 1024 * MEBIBYTE


@given(st.integers(1, 10**10), st.integers(0, 5 * 10**12))
def test_what_is_expected_fits_into_parts_of_one_size(chunk_size: int, expected: int) -> None:
    plan = plan_parts(chunk_size, expected, LIMITS)
    assert LIMITS.smallest <= plan.first_size <= LIMITS.largest
    assert plan.first_size * 5_000 >= expected


def test_memory_is_that_of_one_part_a_thread_and_one_or_of_two_grown_ones() -> None:
    assert buffer_budget(CHUNK, 4, CHUNK) == 5 * CHUNK
    assert buffer_budget(CHUNK, 4, 2 * CHUNK) == 5 * CHUNK
    assert buffer_budget(CHUNK, 4, 8 * CHUNK) == 16 * CHUNK


@pytest.mark.parametrize(("size", "at_once"), [(10, 5), (20, 2), (40, 2), (25, 2)])
def test_buffers_are_handed_out_within_the_budget_and_reused(size: int, at_once: int) -> None:
    buffers = PartBuffers(10, 4)
    taken = [buffers.take(size) for _ in range(at_once)]
    later: list[bytearray] = []
    waiting = threading.Thread(target=lambda: later.append(buffers.take(size)))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    buffers.give_back(taken[0])
    waiting.join(10)
    assert later[0] is taken[0]
    assert buffers.most_held == size * at_once <= buffer_budget(10, 4, size)


def test_buffers_of_a_size_no_longer_wanted_are_let_go() -> None:
    buffers = PartBuffers(10, 1)
    small = [buffers.take(10), buffers.take(10)]
    for buffer in small:
        buffers.give_back(buffer)
    assert len(buffers.take(20)) == 20
    assert len(buffers.take(20)) == 20
    assert buffers.most_held == 40


def test_a_body_gives_large_slices_of_the_buffer_itself_whatever_it_is_asked_for() -> None:
    buffer = bytearray(MEBIBYTE)
    body = PartBody(buffer, MEBIBYTE - 1, threading.Event(), Throttle(UNLIMITED))
    slices = [body.read(16_384) for _ in range(5)]
    assert [len(piece) for piece in slices] == [262_144, 262_144, 262_144, 262_143, 0]
    assert all(piece.obj is buffer for piece in slices)
