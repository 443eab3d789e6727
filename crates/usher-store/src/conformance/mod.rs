//! The suite every backend must pass.
//!
//! A backend's tests call [`store_conformance!`](crate::store_conformance) or
//! [`ticket_conformance!`](crate::ticket_conformance) with the path of an `async fn` that makes an empty store, and get one named
//! test for each case. Time is simulated: cases pass it in, and none waits for it.

#![expect(clippy::missing_panics_doc, reason = "a case that fails panics: it is a test")]

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::TicketBounds;

pub mod faults;
pub mod fixtures;

pub mod api_keys;
pub mod audit;
pub mod known_addresses;
pub mod refresh_races;
pub mod refresh_tokens;
pub mod revocations;
pub mod revoked_users;
pub mod session_events;
pub mod sessions;
pub mod started_sessions;
pub mod tickets;
pub mod users;

/// The bounds of the store that the ticket cases are run against.
pub const TICKET_BOUNDS: TicketBounds = TicketBounds { per_user: 3, total: 5 };

/// Do the same thing many times at once; what came of each.
pub async fn at_once<T, F>(times: usize, act: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(times));
    let mut tasks = JoinSet::new();
    for n in 0..times {
        let start = start.clone();
        let action = act(n);
        tasks.spawn(async move {
            start.wait().await;
            action.await
        });
    }
    tasks.join_all().await
}

/// Fails if `source` holds a case that `listed` leaves out: it would never run.
#[doc(hidden)]
pub fn assert_all_listed(source: &str, listed: &[&str]) {
    let written: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub async fn ")?.split_once('('))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(written, listed, "the cases written and the cases listed");
}

/// One test for each case of the [`Store`](crate::Store) suite. Takes the path of an
/// `async fn() -> (Arc<dyn Store>, impl Sized)` that makes an empty store, and what must live as long as it.
#[macro_export]
macro_rules! store_conformance {
    ($make:path) => {
        $crate::conformance_tests! { $make,
            users: [
                a_user_is_found_again,
                a_user_is_added_once,
                of_many_adding_one_user_exactly_one_does,
                nobody_is_found_under_an_unknown_id,
                ids_are_compared_byte_by_byte,
                users_are_listed_in_pages_by_id,
                a_password_is_set,
                a_hash_is_upgraded_only_from_what_it_was,
                roles_are_set_sorted_and_without_repetition,
                a_user_is_disabled_and_enabled,
                removing_a_user_removes_what_is_theirs,
                a_user_who_was_disabled_and_removed_is_new_when_added_again,
                another_issuers_user_is_banned_and_unbanned,
                a_new_user_begins_with_nothing,
            ],
            sessions: [
                a_session_is_found_by_id_and_by_secret,
                a_second_session_of_the_same_id_or_secret_is_an_error,
                a_users_sessions_are_listed_by_id,
                touching_moves_forward_and_never_back,
                of_many_touches_at_once_the_latest_stays,
                many_sessions_are_touched_at_once,
                reaping_removes_what_is_idle_or_old,
                the_store_says_that_it_can_be_used,
            ],
            refresh_tokens: [
                a_refresh_token_is_found_again,
                a_refresh_token_needs_its_users_session,
                a_second_refresh_token_of_the_same_secret_is_an_error,
                a_fresh_token_is_rotated,
                a_successor_belongs_to_the_session_of_the_presented_token,
                a_lost_answer_can_be_asked_for_again,
                a_spent_token_is_reuse_once_the_window_has_closed,
                a_spent_token_is_reuse_once_its_successor_was_used,
                a_clock_set_back_makes_no_spent_token_good,
                a_spent_token_is_reuse_after_a_time_that_one_clock_did_not_count,
                of_a_long_chain_the_newest_spent_tokens_are_kept,
                a_rotation_is_a_use_of_the_session,
                a_token_that_was_not_used_in_time_is_expired,
                a_family_is_known_when_its_spent_tokens_are_forgotten,
                an_unknown_token_is_unknown,
                a_rotation_happens_as_a_whole_or_not_at_all,
                reaping_removes_what_is_over,
            ],
            started_sessions: [
                a_session_starts_with_its_refresh_token,
                a_session_replaces_another,
                the_oldest_session_ends_for_one_too_many,
                the_first_session_ends_for_one_too_many_also_after_the_clock_was_set_back,
                a_user_who_changed_meanwhile_gets_no_session,
                a_session_starts_as_a_whole_or_not_at_all,
                of_many_log_ins_at_once_as_many_stay_as_may,
            ],
            refresh_races: [
                of_many_rotations_at_once_one_rotates_and_the_others_retry,
                of_many_late_rotations_at_once_one_is_reuse_and_none_rotates,
                racing_pairs_leave_one_chain,
                a_rotation_and_a_revocation_at_once_leave_no_token,
            ],
            api_keys: [
                an_api_key_is_found_again,
                a_second_api_key_of_the_same_id_or_secret_is_an_error,
                api_keys_are_listed_by_id,
                an_api_key_needs_a_user_with_room_for_it,
            ],
            revocations: [
                a_session_is_revoked_with_its_tokens,
                what_is_not_there_is_revoked_all_the_same,
                an_api_key_is_revoked,
                a_token_is_revoked_for_its_issuer_alone,
                another_issuers_sessions_and_subjects_are_revoked_by_its_names,
                revoking_again_is_no_second_revocation,
                of_many_revocations_of_one_session_at_once_one_is_remembered,
                every_target_and_cause_is_remembered_as_it_was,
                what_no_longer_matters_is_reaped,
                the_newest_moment_is_known,
            ],
            revoked_users: [
                a_users_sessions_end_but_one_whatever_the_clock_said,
                the_end_of_a_session_is_remembered_from_its_last_use_if_the_clock_is_behind,
                other_roles_end_no_session,
                other_roles_end_sessions_that_were_used_by_a_clock_that_is_behind_now,
                api_keys_end_with_their_user_and_not_before,
                a_user_has_one_revocation_for_each_cause,
            ],
            known_addresses: [
                addresses_are_remembered_in_the_order_they_were_seen,
                an_address_is_remembered_once_and_its_time_moves_forward,
                an_address_of_an_unknown_user_is_passed_over,
                addresses_are_bounded_by_user_and_in_all,
                old_addresses_are_reaped,
                addresses_go_with_their_user,
            ],
        }
    };
}

/// One test for each case of the [`TicketStore`](crate::TicketStore) suite. Takes the path of an
/// `async fn() -> (Arc<dyn TicketStore>, impl Sized)` that makes an empty store with the bounds [`TICKET_BOUNDS`], and what must
/// live as long as it.
#[macro_export]
macro_rules! ticket_conformance {
    ($make:path) => {
        $crate::conformance_tests! { $make,
            tickets: [
                a_ticket_is_good_once,
                a_ticket_comes_back_as_it_was,
                an_unknown_ticket_is_unknown,
                a_ticket_is_good_until_it_is_over,
                a_clock_stepped_back_revives_nothing,
                a_clock_stepped_back_lengthens_no_life,
                a_clock_set_forward_ends_a_ticket,
                a_clock_stepped_back_does_not_stop_the_sale,
                outstanding_tickets_are_counted_by_user,
                a_spent_ticket_makes_room,
                an_expired_ticket_makes_room,
                outstanding_tickets_are_counted_in_all,
                a_second_ticket_of_the_same_secret_is_an_error,
                of_a_thousand_uses_at_once_one_gets_it,
                purchases_at_once_stay_within_the_bound,
            ],
        }
    };
}

/// One test for each case of the [`AuditStore`](crate::AuditStore) suite. Takes the path of an
/// `async fn() -> (Arc<dyn AuditStore>, impl Sized)` that makes an empty store, and what must live as long as it.
#[macro_export]
macro_rules! audit_conformance {
    ($make:path) => {
        $crate::conformance_tests! { $make,
            audit: [
                records_are_found_again_in_their_order,
                each_chain_has_its_head,
                a_number_is_given_once,
                reaping_removes_what_is_old_and_keeps_the_heads,
                reaping_removes_a_beginning,
            ],
        }
    };
}

/// One test for each case of the [`SessionEvents`](crate::SessionEvents) suite. Takes the path of an
/// `async fn() -> ([Arc<dyn SessionEvents>; 2], impl Sized)` that makes the ends of two nodes, and what must live as long as they.
#[macro_export]
macro_rules! session_events_conformance {
    ($make:path) => {
        $crate::conformance_tests! { $make,
            session_events: [
                every_event_arrives_as_it_was,
                a_node_does_not_hear_itself,
                what_is_published_after_subscribing_is_received_in_order,
                a_node_that_missed_events_is_told,
            ],
        }
    };
}

/// The tests themselves.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($make:path, $($group:ident: [$($case:ident),+ $(,)?]),+ $(,)?) => {
        $(mod $group {
            use super::*;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _kept) = $make().await;
                $crate::conformance::$group::$case(store).await;
            })+

            #[test]
            fn every_case_is_run() {
                $crate::conformance::assert_all_listed($crate::conformance::$group::SOURCE, &[$(stringify!($case)),+]);
            }
        })+
    };
}
