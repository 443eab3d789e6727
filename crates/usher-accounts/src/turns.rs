//! One write of an account at a time: of all requests of one account that write, one waits for the store's writer, and the others wait here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use usher_auth::ids::UserId;

/// Most requests of one user that wait for their turn. One more is refused. A page that refreshes in every tab at once needs fewer.
const MOST_WAITING: usize = 100;

/// Turns by user. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    queues: Arc<Mutex<HashMap<UserId, Queue>>>,
}

#[derive(Debug)]
struct Queue {
    turn: Arc<Semaphore>,
    /// Requests that wait, and the one that has the turn.
    waiting: usize,
}

/// A user's turn, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: Place,
}

/// Longest wait for a turn. With the write that follows (at most 15 s: its wait for the connection and for another process's lock), a request is
/// answered before its connection is given up, so that none acts long after its client has gone.
const PATIENCE: Duration = Duration::from_secs(8);

/// Why a request does not get its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTurn {
    /// A user has as many requests waiting as may.
    #[error("as many requests of the account wait for the store as may")]
    Crowded,
    /// Those before it take too long: the store is slow, or cannot be written.
    #[error("other requests of the account have waited for the store for too long")]
    TooLong,
}

/// A place in a user's queue. The queue goes with its last place.
#[derive(Debug)]
struct Place {
    turns: Turns,
    user: UserId,
}

impl Turns {
    /// Waits for the turn of `user`. Requests get it in the order of their calls.
    pub async fn take(&self, user: &UserId) -> Result<Turn, NoTurn> {
        let (turn, place) = self.queue(user)?;
        let turn = tokio::time::timeout(PATIENCE, turn.acquire_owned()).await.map_err(|_| NoTurn::TooLong)?;
        let turn = turn.expect("the semaphore is never closed");
        Ok(Turn { _turn: turn, _place: place })
    }

    fn queue(&self, user: &UserId) -> Result<(Arc<Semaphore>, Place), NoTurn> {
        let mut queues = self.queues.lock();
        let queue =
            queues.entry(user.clone()).or_insert_with(|| Queue { turn: Arc::new(Semaphore::new(1)), waiting: 0 });
        if queue.waiting > MOST_WAITING {
            return Err(NoTurn::Crowded);
        }
        queue.waiting += 1;
        Ok((queue.turn.clone(), Place { turns: self.clone(), user: user.clone() }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.turns.queues.lock();
        if let Some(queue) = queues.get_mut(&self.user) {
            queue.waiting -= 1;
            if queue.waiting == 0 {
                queues.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn user(id: &str) -> UserId {
        UserId::new(id).expect("a valid id")
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_not_waited_for_without_end() {
        // req K2: a request that outlives its client must not act on what came later.
        let turns = Turns::default();
        let first = turns.take(&user("alice")).await.expect("the turn is free");
        assert_eq!(turns.take(&user("alice")).await.expect_err("it is not given back"), NoTurn::TooLong);
        drop(first);
        drop(turns.take(&user("alice")).await.expect("the turn is free"));
        assert!(turns.queues.lock().is_empty(), "nothing is kept of users that nothing waits for");
    }

    #[tokio::test]
    async fn one_request_of_a_user_has_the_turn_and_a_bounded_number_waits() {
        // req K2
        let turns = Turns::default();
        let mut context = Context::from_waker(Waker::noop());
        let poll = |user: &UserId| {
            let (turns, user) = (turns.clone(), user.clone());
            let mut take = Box::pin(async move { turns.take(&user).await });
            let ready = take.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            (take, ready)
        };
        let (alice, bob) = (user("alice"), user("bob"));
        let (_, first) = poll(&alice);
        let Poll::Ready(Ok(first)) = first else { panic!("the turn is free") };
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| poll(&alice)).collect();
        assert!(waiting.iter().all(|(_, ready)| ready.is_pending()));
        assert!(matches!(poll(&alice).1, Poll::Ready(Err(NoTurn::Crowded))));
        assert!(matches!(poll(&bob).1, Poll::Ready(Ok(_))), "another user's turn is another");
        // A request that is given up leaves its place.
        waiting.pop();
        assert!(poll(&alice).1.is_pending());
        drop(first);
        let mut next = pin!(waiting.remove(0).0);
        assert!(matches!(next.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
        drop(waiting);
        assert!(turns.queues.lock().is_empty(), "nothing is kept of users that nothing waits for");
    }
}
