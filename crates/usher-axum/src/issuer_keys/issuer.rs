//! One issuer's keys over time: one fetch at once whoever asks for it, and what becomes of the keys in use.

use std::error::Error;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use usher_auth::ids::IssuerName;
use usher_auth::jwt::{TokenVerifier, TrustedIssuer};
use usher_auth::{Clock, Now};

use super::fetch::{FetchError, Fetched, Fetcher};
use super::schedule::{FetchCause, Schedule};

/// Longest chain of causes that is logged, in bytes.
const MAX_LOGGED: usize = 600;
/// Most key ids that are logged: more are too many to compare by eye.
const MAX_LOGGED_KEYS: usize = 8;

/// An issuer whose keys are fetched.
pub(super) struct Issuer {
    name: IssuerName,
    fetcher: Fetcher,
    tokens: Arc<TokenVerifier>,
    clock: Arc<dyn Clock>,
    /// Locked by whoever asks and by the fetch when it ends; never over an await.
    state: Mutex<State>,
    /// A fetch ended, so that there may be another time to wake up at. Awaited by `keep_fresh` alone.
    rescheduled: Notify,
}

struct State {
    schedule: Schedule,
    /// The fetch under way, for everybody who waits for it.
    flight: Option<watch::Receiver<Flight>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    UnderWay,
    Replaced,
    Failed,
}

/// The fetch's own hold on its place. Dropped without an outcome (the fetch panicked, or the runtime ends), it frees the place,
/// and those who wait see the sender gone.
struct Place {
    issuer: Arc<Issuer>,
    outcome: watch::Sender<Flight>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.issuer.state.lock().flight = None;
        self.issuer.rescheduled.notify_one();
    }
}

impl Issuer {
    pub(super) fn new(
        name: IssuerName,
        fetcher: Fetcher,
        schedule: Schedule,
        tokens: Arc<TokenVerifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let state = Mutex::new(State { schedule, flight: None });
        Self { name, fetcher, tokens, clock, state, rescheduled: Notify::new() }
    }

    /// A token read at `asked` names a key that we do not have: whether there are other keys now than there were then.
    pub(super) async fn refresh(self: &Arc<Self>, asked: Now) -> bool {
        if self.replaced_since(asked) {
            return true;
        }
        let replaced = match self.board(FetchCause::UnknownKey) {
            Some(flight) => landed(flight).await,
            None => false,
        };
        // A fetch may have landed between the first look and the boarding.
        replaced || self.replaced_since(asked)
    }

    /// Fetch the keys if they are not fresh any more, and drop them if they are too old. Returns when that is done.
    pub(super) async fn refresh_due(self: &Arc<Self>) {
        if let Some(flight) = self.board(FetchCause::Due) {
            landed(flight).await;
        }
    }

    /// [`Issuer::refresh_due`] whenever it is time. Runs until it is dropped.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        loop {
            self.refresh_due().await;
            let wake_at = self.state.lock().schedule.wake_at();
            tokio::select! {
                () = tokio::time::sleep(wake_at.saturating_sub(self.clock.now().monotonic)) => {}
                () = self.rescheduled.notified() => {}
            }
        }
    }

    /// The fetch under way, or a new one if it is time for one. It is a task of its own: that whoever asked goes away must not end
    /// it for the others.
    fn board(self: &Arc<Self>, cause: FetchCause) -> Option<watch::Receiver<Flight>> {
        let place = {
            let mut state = self.state.lock();
            let now = self.clock.now();
            self.drop_expired(&mut state, now);
            if let Some(flight) = &state.flight {
                return Some(flight.clone());
            }
            if !state.schedule.admits(cause, now.monotonic) {
                return None;
            }
            state.schedule.launched(cause, now.monotonic);
            let (outcome, flight) = watch::channel(Flight::UnderWay);
            state.flight = Some(flight);
            Place { issuer: self.clone(), outcome }
        };
        let flight = place.outcome.subscribe();
        // Without the lock: a runtime that is shutting down drops the task at once, and with it the place, which takes the lock.
        tokio::spawn(async move {
            let result = place.issuer.fetcher.fetch().await;
            let outcome = place.issuer.land(result);
            place.outcome.send_replace(outcome);
        });
        Some(flight)
    }

    fn replaced_since(&self, asked: Now) -> bool {
        self.state.lock().schedule.replaced_since(asked.monotonic)
    }

    fn land(&self, result: Result<Fetched, FetchError>) -> Flight {
        let mut state = self.state.lock();
        match result {
            Ok(Fetched { keys, fresh_for }) => {
                let key_ids: Vec<&str> = keys.key_ids().take(MAX_LOGGED_KEYS).collect();
                tracing::info!(issuer = %self.name, keys = keys.len(), ?key_ids, fresh_for_seconds = fresh_for.as_secs(), "the issuer's keys were fetched");
                self.trusted().replace_keys(keys);
                // Read after the replacement: a verdict with the old keys must not seem to be from after it.
                state.schedule.succeeded(fresh_for, self.clock.now().monotonic);
                Flight::Replaced
            }
            Err(error) => {
                let now = self.clock.now();
                state.schedule.failed(now.monotonic);
                if error.withdraws_keys() && state.schedule.forget_keys() {
                    self.trusted().drop_keys();
                }
                self.drop_expired(&mut state, now);
                let advice = error.advice();
                let error = with_causes(&error);
                if state.schedule.has_keys() {
                    tracing::warn!(issuer = %self.name, error, advice, "the issuer's keys could not be fetched; those fetched before stay in use");
                } else {
                    tracing::error!(issuer = %self.name, error, advice, "the issuer's keys could not be fetched; its tokens are refused");
                }
                Flight::Failed
            }
        }
    }

    fn trusted(&self) -> &TrustedIssuer {
        self.tokens.issuer(Some(&self.name)).expect("`IssuerKeys::new` found it, and issuers do not go")
    }

    /// Fail closed (req G4, G5): keys that nobody could confirm for too long are no keys.
    fn drop_expired(&self, state: &mut State, now: Now) {
        if state.schedule.expire(now.monotonic) {
            self.trusted().drop_keys();
            tracing::error!(issuer = %self.name, "the issuer's keys could not be fetched again for too long and are dropped; its tokens are refused");
        }
    }
}

/// Wait for the end of a fetch; whether it replaced the keys.
async fn landed(mut flight: watch::Receiver<Flight>) -> bool {
    // An error is a fetch that never ended properly.
    flight.wait_for(|flight| *flight != Flight::UnderWay).await.is_ok_and(|flight| *flight == Flight::Replaced)
}

/// An error and what caused it, on one line of bounded length.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors repeat their cause in their own words.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    let end = text.floor_char_boundary(MAX_LOGGED);
    text.truncate(end);
    text
}
