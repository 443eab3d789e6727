//! One issuer's keys over time: one fetch at once whoever asks for it, and what becomes of the keys in use.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use usher_auth::ids::IssuerName;
use usher_auth::jwt::{KeySet, TokenVerifier};
use usher_auth::{Clock, Now};

use super::fetch::{FetchError, Fetched, Fetcher};
use super::schedule::{FetchCause, Schedule};

/// Longest chain of causes that is logged, in bytes.
const MAX_LOGGED: usize = 600;

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
        let flight = {
            let mut state = self.state.lock();
            if state.schedule.replaced_since(asked.monotonic) {
                return true;
            }
            let now = self.clock.now();
            self.drop_expired(&mut state, now);
            match &state.flight {
                Some(flight) => flight.clone(),
                None if state.schedule.admits_unknown_key(now.monotonic) => {
                    self.launch(&mut state, FetchCause::UnknownKey, now)
                }
                None => return false,
            }
        };
        landed(flight).await
    }

    /// Fetch the keys if they are not fresh any more, and drop them if they are too old. Returns when that is done.
    pub(super) async fn refresh_due(self: &Arc<Self>) {
        let flight = {
            let mut state = self.state.lock();
            let now = self.clock.now();
            self.drop_expired(&mut state, now);
            match &state.flight {
                Some(flight) => flight.clone(),
                None if state.schedule.is_due(now.monotonic) => self.launch(&mut state, FetchCause::Due, now),
                None => return,
            }
        };
        landed(flight).await;
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

    /// Start the one fetch. It is a task of its own: that whoever asked goes away must not end it for the others.
    fn launch(self: &Arc<Self>, state: &mut State, cause: FetchCause, now: Now) -> watch::Receiver<Flight> {
        state.schedule.launched(cause, now.monotonic);
        let (outcome, flight) = watch::channel(Flight::UnderWay);
        state.flight = Some(flight.clone());
        let place = Place { issuer: self.clone(), outcome };
        tokio::spawn(async move {
            let issuer = &place.issuer;
            let result = issuer.fetcher.fetch().await;
            let outcome = issuer.land(result);
            place.outcome.send_replace(outcome);
        });
        flight
    }

    fn land(&self, result: Result<Fetched, FetchError>) -> Flight {
        let mut state = self.state.lock();
        match result {
            Ok(Fetched { keys, fresh_for }) => {
                let count = keys.len();
                self.tokens.replace_keys(&self.name, keys);
                // Read after the replacement: a verdict with the old keys must not seem to be from after it.
                state.schedule.succeeded(fresh_for, self.clock.now().monotonic);
                if count == 0 {
                    // An answer, and not an outage: an issuer that withdraws all its keys means it (req G3).
                    tracing::warn!(issuer = %self.name, "the issuer publishes no key that its configured algorithms can use; its tokens are refused");
                } else {
                    tracing::info!(issuer = %self.name, keys = count, fresh_for_seconds = fresh_for.as_secs(), "the issuer's keys were fetched");
                }
                Flight::Replaced
            }
            Err(error) => {
                let now = self.clock.now();
                state.schedule.failed(now.monotonic);
                if error.disowns_the_issuer() && state.schedule.forget_keys() {
                    self.tokens.replace_keys(&self.name, KeySet::default());
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

    /// Fail closed (req G4, G5): keys that nobody could confirm for too long are no keys.
    fn drop_expired(&self, state: &mut State, now: Now) {
        if state.schedule.expire(now.monotonic) {
            self.tokens.replace_keys(&self.name, KeySet::default());
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
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    let end = text.floor_char_boundary(MAX_LOGGED);
    text.truncate(end);
    text
}
