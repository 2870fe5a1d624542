"""README's table of who is trusted with what: each of its promises has attacks among the tests, named here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest

from tests.manual import CHECKOUT, section

HOSTILE = "tests/hostile"

# For each row, by how it begins, the attacks on each of its promises, in their order: file, then tests.
ATTACKS: Mapping[str, Sequence[Mapping[str, Sequence[str]]]] = {
    "whoever can write to the store, an archive without": (
        {
            "test_bucket_writer_links": ["test_no_link_leads_out", "test_no_link_of_one_archive_leads_out"],
            "test_bucket_writer_archives": [
                "test_a_rename_that_an_archive_tells_of_is_refused",
                "test_nothing_outside_is_reached",
            ],
            "test_bucket_writer_disagreement": ["test_readers_that_disagree_let_nothing_out"],
            "test_bucket_writer_originals": ["test_nothing_outside_is_reached", "test_nothing_is_moved_out_or_in"],
            "test_fuzz_members": ["test_random_archives_harm_nothing"],
        },
        {"test_bucket_writer_archives": ["test_nothing_outside_is_reached"]},
        {
            "test_bucket_writer_signatures": ["test_archives_of_another_source_are_not_taken_for_it"],
            "test_bucket_writer_indexes": [
                "test_what_a_member_is_not_is_not_believed",
                "test_an_index_that_is_not_of_the_archive_is_not_believed",
            ],
        },
        {
            "test_bucket_writer_targets": [
                "test_no_program_with_its_owners_rights_comes_unnamed",
                "test_a_new_where_is_closed_from_the_beginning_and_stays_so",
                "test_staging_is_closed_in_a_tree_that_is_open",
            ]
        },
        {
            "test_bucket_writer_memory": [
                "test_a_header_without_end_takes_no_memory",
                "test_a_sum_without_end_takes_no_memory",
                "test_hard_links_without_end_take_no_memory",
            ],
            "test_bucket_writer_index_memory": ["test_an_index_without_end_takes_no_memory"],
        },
        {
            "test_bucket_writer_output": [
                "test_what_a_store_holds_stays_words",
                "test_a_terminal_does_not_obey_them_and_brackets_are_no_markup",
                "test_a_foreign_owner_does_not_write_the_log_of_the_night",
            ]
        },
    ),
    "whoever can write to the store, with": (
        {
            "test_bucket_writer_signatures": [
                "test_not_a_byte_of_a_forgery_reaches_tar",
                "test_metadata_that_are_folded_into_each_other_are_not_what_was_signed",
            ]
        },
    ),
    "whoever runs the S3 server": (
        {
            "test_endpoint": [
                "test_a_signal_ends_what_only_reads",
                "test_a_signal_ends_a_restore_and_nothing_of_it_stays",
                "test_a_signal_ends_a_backup_and_its_upload_is_aborted",
                "test_stall_timeout_ends_a_restore_from_a_bucket",
                "test_an_answer_without_end_ends_a_command_and_not_the_memory",
            ],
            "test_hanging_programs": ["test_a_signal_ends_reading_what_gpg_does_not_decrypt"],
        },
        {
            "test_bucket_writer_signatures": ["test_what_is_swapped_after_it_was_found_good_does_not_reach_tar"],
            "test_endpoint": ["test_a_redirect_leads_nowhere"],
        },
    ),
    "whoever has a key": (
        {
            "test_signing_keys": [
                "test_a_key_that_only_resembles_the_name_is_refused_even_if_it_is_trusted",
                "test_a_strangers_key_of_the_same_address_checks_no_signatures",
                "test_what_a_neighbour_has_signed_is_not_restored",
            ]
        },
    ),
    "a user who has files in a source": (
        {
            "test_local_user_night": [
                "test_a_folder_that_is_flipped_while_tar_reads_costs_that_folder_and_the_next_diff_takes_it",
                "test_no_depth_of_folders_costs_the_others",
                "test_a_file_that_is_nothing_but_a_hole_of_terabytes_takes_no_time",
                "test_a_user_who_never_stops_renaming_folders_costs_nobody_a_night",
                "test_a_file_system_that_a_user_has_mounted_costs_no_more_than_itself",
            ]
        },
        {
            "test_local_user_swaps": [
                "test_a_secret_behind_a_link_does_not_reach_the_archive",
                "test_a_user_who_races_for_a_secret_all_night",
            ]
        },
    ),
    "a user who has the folder WHERE": (
        {
            "test_bucket_writer_targets": [
                "test_whoever_owns_where_cannot_send_root_elsewhere",
                "test_a_file_system_mounted_below_a_users_folder_leads_nowhere",
                "test_a_stranger_never_gets_to_see_anything_of_it",
            ],
            "test_local_user_targets": [
                "test_a_link_in_the_place_of_the_file_is_not_followed",
                "test_whoever_has_the_folder_cannot_have_another_file_written",
                "test_whoever_has_the_folder_for_staging_sends_root_nowhere",
            ],
        },
    ),
    "a user who can write where s3napback is started": (
        {
            "test_local_user_configuration": [
                "test_what_others_can_change_keeps_everything_from_starting",
                "test_a_bare_name_never_means_a_file_of_the_current_folder",
                "test_state_that_somebody_planted_is_not_read",
            ],
            "test_local_user_current_folder": ["test_nothing_is_imported_or_run_from_the_current_folder"],
            "test_ordinary_user_configuration": [
                "test_neither_root_nor_a_third_user_takes_an_ordinary_users_configuration"
            ],
        },
        {
            "test_local_user_logs": [
                "test_what_others_can_have_put_there_is_not_written_to",
                "test_no_command_begins_with_a_log_that_leads_elsewhere",
            ]
        },
    ),
    "a repository's owner": (
        {
            "test_repository_owner": [
                "test_a_chain_of_a_developers_repository_is_made_with_the_developers_rights",
                "test_a_link_to_a_secret_in_a_repository_is_not_followed_with_roots_rights",
                "test_berkeley_db_is_read_by_its_owner_and_overwrites_nothing_of_roots",
                "test_no_hook_is_run_and_none_comes_back",
            ]
        },
    ),
    "a user who owns an SQLite database": (
        {
            "test_sqlite_owner": [
                "test_links_of_others_are_not_followed",
                "test_a_planted_journal_deletes_nothing_of_roots",
                "test_a_journal_beside_the_database_of_another_is_not_rolled_back",
                "test_what_the_owner_may_not_read_is_not_read",
            ]
        },
    ),
    "the user whom `RunAs` names": (
        {
            "test_command_user": [
                "test_every_right_of_roots_is_given_up",
                "test_what_only_root_may_read_stays_unread",
                "test_lines_without_end_or_number_take_no_memory_and_fill_no_log",
            ]
        },
    ),
    "a database's owner": (
        {
            "test_database_names": [
                "test_no_name_in_mariadb_becomes_a_command",
                "test_no_name_in_postgresql_becomes_a_command",
            ]
        },
    ),
    "whoever writes the options": (
        {
            "test_database_owner": [
                "test_no_accepted_option_of_mysqldump_takes_anything_away_or_writes_a_file",
                "test_no_accepted_option_of_pg_dump_takes_anything_away_or_writes_a_file",
                "test_what_writes_elsewhere_or_dumps_something_else_stops_the_configuration",
            ]
        },
    ),
}


def rows() -> list[tuple[str, list[str]]]:
    """Each row's first cell, and the promises of its last one."""
    lines = [line for line in section("Who is trusted with what").splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [(who, cannot.split("; ")) for who, _can, cannot in cells]


def test_every_row_has_its_attacks_and_every_attack_its_row() -> None:
    named = {file for files in ATTACKS.values() for each in files for file in each}
    assert named == {path.stem for path in (CHECKOUT / HOSTILE).glob("test_*.py")}
    assert [next((each for each in ATTACKS if who.startswith(each)), who) for who, _ in rows()] == [*ATTACKS]


@pytest.mark.parametrize("row", range(len(ATTACKS)), ids=list(ATTACKS))
def test_every_promise_of_a_row_is_attacked_by_tests_that_are_there(row: int) -> None:
    who, promises = rows()[row]
    attacks = ATTACKS[next(each for each in ATTACKS if who.startswith(each))]
    assert len(attacks) == len(promises), promises
    for promise, files in zip(promises, attacks, strict=True):
        for file, tests in files.items():
            there = re.findall(r"^ *def (test_\w+)", (CHECKOUT / HOSTILE / f"{file}.py").read_text(), re.MULTILINE)
            assert {*tests} <= {*there}, promise
