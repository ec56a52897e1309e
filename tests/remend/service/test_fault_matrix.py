"""What may happen to a service and a robot, and which tests hold what must be so afterwards: each of them is there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]

# what happens -> file below tests/ -> tests that bring it about
MATRIX: dict[str, dict[str, tuple[str, ...]]] = {
    "the service is killed, at any moment": {
        "remend/test_crash.py": (
            "test_home_survives_kills_from_outside",
            "test_home_survives_kills_at_counted_calls",
            "test_fresh_home_survives_a_kill_while_it_is_set_up",
        ),
        "remend/test_mortal.py": (
            "test_a_service_that_dies_at_any_step_is_taken_up",
            "test_random_kills_lose_double_and_invent_nothing",
        ),
        "remend/test_kill.py": ("test_a_healing_killed_at_any_moment_leaves_everything_whole",),
        "remend/test_versions.py": (
            "test_lock_left_by_a_killed_process_does_not_block",
            "test_half_made_repository_of_a_killed_process_is_made_again",
        ),
        "remend/service/test_serving.py": ("test_a_robot_is_healed_over_http_across_a_kill_and_taken_back",),
        "remend/service/test_reconcile.py": (
            "test_every_status_has_one_way_on",
            "test_a_trial_that_nobody_saw_the_end_of_is_told_as_interrupted",
        ),
        "remend/service/test_webhooks.py": ("test_what_came_while_nobody_told_is_told_after_the_next_start",),
    },
    "the control loop is killed, at any moment": {
        "controllers/test_processes.py": ("test_a_loop_killed_at_any_moment_starts_again_on_what_is_committed",),
        "controllers/test_pointer.py": ("test_a_kill_at_any_write_boots_what_was_committed",),
        "ros/test_link.py": ("test_a_lost_service_and_a_lost_host_leave_what_was_committed",),
    },
    "a controller hangs, is slow, or gives no number": {
        "controllers/test_injections.py": (
            "test_a_candidate_that_goes_wrong_in_any_tick_is_replaced_in_it_and_gone_afterwards",
            "test_a_candidate_that_hangs_is_taken_off_the_processor_in_the_same_tick",
            "test_a_committed_controller_that_hangs_gives_way_to_the_safety_law",
            "test_a_law_that_is_late_now_and_then_is_replaced_and_stays",
        ),
        "controllers/test_slot.py": ("test_a_limit_never_hides_a_nan_from_the_envelope",),
    },
    "the helper or the robot's node is killed": {
        "controllers/test_processes.py": (
            "test_a_helper_killed_over_a_patch_is_replaced_and_the_loop_goes_on",
            "test_a_commit_that_the_helper_did_not_live_to_write_is_written_by_the_next",
            "test_loop_and_helper_end_with_their_bridge_and_nothing_uncommitted_stays",
        ),
    },
    "the same step ends its process again and again": {
        "remend/test_mortal.py": ("test_a_service_that_dies_at_any_step_is_taken_up",),
        "remend/service/test_caretaker.py": (
            "test_a_patch_that_ends_its_caretaker_again_and_again_is_turned_down",
            "test_a_patch_whose_files_are_damaged_ends_nobody",
        ),
        "sim/workers/test_lost_jobs.py": ("test_zygotes_that_die_again_and_again_are_given_up",),
    },
    "the service's disk is full": {
        "remend/test_store.py": (
            "test_full_disk_refuses_and_leaves_no_half_step",
            "test_full_disk_at_the_head_file_does_not_undo_a_decision",
        ),
        "remend/service/test_full_disk.py": (
            "test_a_decision_is_made_whole_or_not_at_all",
            "test_the_service_answers_503_and_reads_on",
        ),
        "remend/service/test_retention.py": ("test_telemetry_makes_room_on_a_full_disk",),
        "remend/web/test_full_disk.py": ("test_a_full_disk_refuses_decisions_shows_everything_and_loses_nothing",),
        "controllers/test_latch.py": ("test_a_kill_holds_although_the_disk_refuses_it",),
    },
    "the robot's disk is full": {
        "controllers/test_host.py": (
            "test_a_patch_that_could_not_be_stored_is_not_staged",
            "test_a_commit_that_the_disk_refuses_is_rolled_back",
            "test_a_return_that_the_disk_refuses_is_said_tried_again_and_blocks_new_patches",
        ),
        "controllers/test_hold.py": ("test_a_hold_that_the_disk_refuses_holds_all_the_same_and_says_so",),
    },
    "the database is damaged": {
        "remend/service/test_damaged.py": (
            "test_a_service_whose_database_is_damaged_shows_what_is_left_and_changes_nothing",
            "test_whatever_page_is_damaged_no_decision_is_invented",
            "test_one_changed_letter_of_a_record_is_found_at_the_start",
            "test_a_cut_log_is_found_if_a_decision_was_in_it",
            "test_a_restored_backup_is_worked_with_again",
        ),
    },
    "an object or a ref in git is damaged": {
        "remend/test_versions.py": ("test_damaged_object_is_refused", "test_ref_to_another_artefact_is_refused"),
        "remend/service/test_caretaker.py": ("test_a_patch_whose_files_are_damaged_ends_nobody",),
    },
    "a controller on the robot is damaged": {
        "controllers/test_pointer.py": (
            "test_a_controller_that_is_not_what_its_hash_says_does_not_boot",
            "test_a_damaged_pointer_means_the_built_in_controller",
            "test_a_pointer_cut_short_or_garbled_boots_only_what_was_once_committed",
        ),
        "controllers/test_host.py": (
            "test_a_committed_law_that_the_language_no_longer_accepts_gives_way_to_the_one_before",
        ),
    },
    "service and robot do not reach each other": {
        "ros/test_link.py": (
            "test_a_service_that_is_killed_or_cut_off_in_a_canary_leaves_what_was_committed",
            "test_a_lost_service_and_a_lost_host_leave_what_was_committed",
        ),
        "ros/test_serve.py": ("test_a_robot_is_on_the_board_with_its_telemetry_and_again_after_it_was_gone",),
        "controllers/test_lease.py": ("test_a_second_service_waits_until_the_first_is_silent_and_its_patch_has_gone",),
        "remend/service/test_caretaker.py": (
            "test_a_patch_for_another_controller_than_the_one_that_runs_is_stale",
            "test_a_patch_that_waits_for_a_controller_that_is_gone_waits_no_more",
        ),
    },
    "the robot's node and its control loop do not reach each other": {
        "controllers/test_processes.py": ("test_loop_and_helper_end_with_their_bridge_and_nothing_uncommitted_stays",),
        "controllers/test_injections.py": ("test_a_stale_measurement_in_a_canary_is_inconclusive",),
    },
    "a clock jumps": {
        "controllers/test_signature.py": (
            "test_patch_for_anything_else_is_refused",
            "test_slack_forgives_a_clock_that_is_a_little_off",
        ),
        "remend/test_alpha.py": ("test_a_clock_that_was_set_back_gives_nothing_away",),
        "remend/web/test_confirmation.py": ("test_a_session_from_the_future_is_not_confirmed",),
        "remend/service/test_caretaker.py": ("test_a_clock_that_was_set_back_revives_nothing", "test_evidence_ages"),
        "telemetry/test_health.py": ("test_clock_that_jumps_is_no_gap_and_no_disorder",),
    },
    "a message comes again, late, or out of order": {
        "controllers/test_host.py": ("test_a_version_is_accepted_once_even_over_a_restart",),
        "controllers/test_lease.py": (
            "test_each_request_is_carried_out_once_and_in_order",
            "test_old_answers_are_forgotten_but_never_carried_out_again",
        ),
        "remend/service/test_decisions.py": ("test_the_same_decision_twice_is_one_and_another_one_is_too_late",),
        "remend/service/test_orders.py": ("test_the_same_request_twice_is_one_order", "test_the_first_answer_stays"),
    },
    "two people, or two services, decide at the same time": {
        "remend/test_crash.py": (
            "test_of_two_processes_that_decide_one_wins",
            "test_two_processes_that_open_a_fresh_home_share_its_keys",
        ),
        "remend/web/test_api.py": ("test_a_decision_on_something_else_is_a_conflict",),
        "controllers/test_lease.py": ("test_an_answer_that_comes_after_the_lease_has_changed_hands_is_nobodys",),
    },
    "the language model is down, talks rubbish, or is talked to by telemetry": {
        "patcher/llm/test_llm.py": (
            "test_an_endpoint_that_is_down_is_one_sentence",
            "test_without_an_answer_the_others_go_on",
            "test_after_three_repairs_it_is_left_alone",
        ),
        "patcher/llm/test_answer.py": ("test_rubbish_is_refused_and_nothing_else_happens",),
        "patcher/llm/test_brief.py": ("test_words_from_outside_are_quoted_and_cut",),
        "remend/web/test_guard.py": ("test_texts_of_others_are_text_on_a_page",),
    },
    "a robot is killed while the service is dead, the database is held, or a patch is on trial": {
        "remend/test_kill_switch.py": ("test_kill_and_rearm_need_nothing_but_the_folder_and_the_key",),
        "controllers/test_latch.py": (
            "test_a_kill_runs_the_baseline_in_the_next_tick_and_drops_the_patch",
            "test_a_killed_robot_that_was_off_starts_on_its_baseline",
            "test_a_running_host_puts_a_removed_kill_file_back",
        ),
        "controllers/test_processes.py": ("test_a_kill_reaches_the_loop_on_every_way",),
    },
}


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("happens", MATRIX)
def test_each_thing_that_may_happen_is_brought_about_by_tests(happens: str) -> None:
    named = [(file, name) for file, names in MATRIX[happens].items() for name in names]
    assert named
    missing = [f"{file}::{name}" for file, name in named if name not in names_in(file)]
    assert not missing, f"{happens}: no such test; name the one that took its place"
