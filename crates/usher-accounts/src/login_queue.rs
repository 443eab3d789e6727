//! Who may have a password hashed next: fair by source and by account, bounded, and without a wait where there is none before it.
//!
//! Each log-in has a round. The first of a source and of an account is in the round that is being served, each further one a round later than the
//! last of its source and of its account, whether that one waits or was served in this round. Rounds are served in their order, and one that lasts takes
//! in no more. So a newcomer waits behind one log-in of every other source, however many some of them sent and however soon they come
//! again; and where there is no room for one more, what is in the last round gives way to it.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Longest wait for a turn. A request is answered before its connection is given up, and one whose client has gone does not wait on.
const PATIENCE: Duration = Duration::from_secs(10);

/// There are as many log-ins as may wait, and none of them has less right to than this one; or it has waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many log-ins are waiting")]
pub struct QueueFull;

/// The queue. A cheap handle.
#[derive(Clone)]
pub struct LoginQueue(Arc<Shared>);

struct Shared {
    most_running: usize,
    most_waiting: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    /// The round of the log-in that was served last.
    round: u64,
    /// The sources and accounts that were served in this round.
    served: Served,
    /// How many have waited so far: orders those of one round.
    arrivals: u64,
    /// By round and arrival.
    waiting: BTreeMap<(u64, u64), Waiting>,
}

#[derive(Default)]
struct Served {
    sources: HashSet<IpAddr>,
    accounts: HashSet<String>,
    log_ins: usize,
}

/// A log-in's place among those that wait: its round and arrival. Left when it is dropped.
struct Place {
    shared: Arc<Shared>,
    key: (u64, u64),
}

struct Waiting {
    source: IpAddr,
    account: String,
    turn: oneshot::Sender<Turn>,
}

/// A log-in's turn. When it is dropped, the next one's comes.
pub struct Turn(Option<Arc<Shared>>);

impl LoginQueue {
    /// So many run at once and so many wait.
    pub fn new(most_running: usize, most_waiting: usize) -> Self {
        Self(Arc::new(Shared { most_running, most_waiting, state: Mutex::default() }))
    }

    /// Waits for a turn of a log-in to `account` from `source`.
    pub async fn turn(&self, source: IpAddr, account: &str) -> Result<Turn, QueueFull> {
        let (comes, _place) = {
            let mut state = self.0.state.lock();
            if state.running < self.0.most_running {
                state.running += 1;
                state.served.add(source, account);
                return Ok(Turn(Some(self.0.clone())));
            }
            let round = state.round_of(source, account, self.0.most_waiting);
            if state.waiting.len() >= self.0.most_waiting {
                match state.waiting.last_entry() {
                    // It learns of it because its sender is dropped.
                    Some(last) if last.key().0 > round => drop(last.remove()),
                    _ => return Err(QueueFull),
                }
            }
            let (turn, comes) = oneshot::channel();
            let key = (round, state.arrivals);
            state.arrivals += 1;
            state.waiting.insert(key, Waiting { source, account: account.to_owned(), turn });
            (comes, Place { shared: self.0.clone(), key })
        };
        timeout(PATIENCE, comes).await.map_err(|_| QueueFull)?.map_err(|_| QueueFull)
    }
}

impl State {
    /// The round that a log-in belongs to which comes now.
    fn round_of(&self, source: IpAddr, account: &str, most_waiting: usize) -> u64 {
        // A round ends although new sources keep coming: the log-ins of the next round have waited for longer.
        let lasts = self.served.log_ins >= most_waiting.max(1);
        let served = self.served.sources.contains(&source) || self.served.accounts.contains(account);
        let first = if lasts || served { self.round + 1 } else { self.round };
        let same = |waiting: &Waiting| waiting.source == source || waiting.account == account;
        let last = self.waiting.iter().rev().find(|(_, waiting)| same(waiting)).map(|((round, _), _)| *round);
        last.map_or(first, |last| first.max(last + 1))
    }

    /// The log-in whose turn comes when another's is over.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let Some(((round, _), waiting)) = self.waiting.pop_first() else {
            // Where nothing waits, nothing was kept waiting.
            self.running -= 1;
            self.round += 1;
            self.served = Served::default();
            return None;
        };
        if round > self.round {
            self.round = round;
            self.served = Served::default();
        }
        self.served.add(waiting.source, &waiting.account);
        Some(waiting.turn)
    }
}

impl Served {
    fn add(&mut self, source: IpAddr, account: &str) {
        self.log_ins += 1;
        self.sources.insert(source);
        self.accounts.insert(account.to_owned());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Its turn has come, or it has given up.
        drop(self.shared.state.lock().waiting.remove(&self.key));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else { return };
        loop {
            let next = shared.state.lock().next();
            let Some(next) = next else { return };
            match next.send(Self(Some(shared.clone()))) {
                Ok(()) => return,
                // The request that waited is gone: then it is the turn of the one after it.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Pending = Pin<Box<dyn Future<Output = Result<Turn, QueueFull>>>>;

    fn source(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn look(pending: &mut Pending) -> Poll<Result<Turn, QueueFull>> {
        pending.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn asks(queue: &LoginQueue, from: u8, account: &str) -> Pending {
        let (queue, account) = (queue.clone(), account.to_owned());
        Box::pin(async move { queue.turn(source(from), &account).await })
    }

    /// One that came, and was looked at once so that it waits.
    fn come(queue: &LoginQueue, from: u8, account: &str) -> Pending {
        let mut pending = asks(queue, from, account);
        assert!(look(&mut pending).is_pending(), "it waits");
        pending
    }

    fn is_turned_away(queue: &LoginQueue, from: u8, account: &str) -> bool {
        matches!(look(&mut asks(queue, from, account)), Poll::Ready(Err(QueueFull)))
    }

    /// The name of the one whose turn comes when `turn` is over, with its turn.
    fn next<'a>(turn: Turn, waiting: &mut Vec<(&'a str, Pending)>) -> (&'a str, Turn) {
        drop(turn);
        for index in 0..waiting.len() {
            if let Poll::Ready(Ok(turn)) = look(&mut waiting[index].1) {
                return (waiting.remove(index).0, turn);
            }
        }
        panic!("nobody's turn came")
    }

    fn begin(queue: &LoginQueue) -> Turn {
        match look(&mut asks(queue, 1, "first")) {
            Poll::Ready(Ok(turn)) => turn,
            _ => panic!("there is no wait"),
        }
    }

    #[tokio::test]
    async fn a_newcomer_waits_behind_one_of_each_other_source() {
        // req K2
        let queue = LoginQueue::new(1, 100);
        let mut turn = begin(&queue);
        let mut waiting: Vec<(&str, Pending)> = Vec::new();
        for name in ["a1", "a2", "a3", "a4"] {
            waiting.push((name, come(&queue, 2, name)));
        }
        for name in ["b1", "b2"] {
            waiting.push((name, come(&queue, 3, name)));
        }
        waiting.push(("c1", come(&queue, 4, "c1")));
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let (name, next) = next(turn, &mut waiting);
            turn = next;
            order.push(name);
            if name == "b1" {
                waiting.push(("d1", come(&queue, 5, "d1")));
            }
        }
        assert_eq!(order, ["a1", "b1", "c1", "d1", "a2", "b2", "a3", "a4"]);
    }

    #[tokio::test]
    async fn one_account_from_many_sources_is_one() {
        // req K2
        let queue = LoginQueue::new(1, 100);
        let mut turn = begin(&queue);
        let mut waiting: Vec<(&str, Pending)> = Vec::new();
        for (number, name) in [(2, "a1"), (3, "a2"), (4, "a3")] {
            waiting.push((name, come(&queue, number, "alice")));
        }
        waiting.push(("bob", come(&queue, 5, "bob")));
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let (name, next) = next(turn, &mut waiting);
            turn = next;
            order.push(name);
        }
        assert_eq!(order, ["a1", "bob", "a2", "a3"]);
    }

    #[tokio::test]
    async fn a_full_queue_makes_room_for_whom_it_is_fair_to() {
        // req K2
        let queue = LoginQueue::new(1, 4);
        let turn = begin(&queue);
        // Two sources with one account have taken all there is.
        let mut crowd: Vec<(&str, Pending)> = ["c1", "c2", "c3", "c4"]
            .into_iter()
            .zip([2, 3, 2, 3])
            .map(|(name, from)| (name, come(&queue, from, "mallory")))
            .collect();
        assert!(is_turned_away(&queue, 2, "mallory"), "no more of those");
        let newcomers = [("alice", 4), ("bob", 5), ("carol", 6)];
        let mut waiting: Vec<(&str, Pending)> =
            newcomers.into_iter().map(|(name, from)| (name, come(&queue, from, name))).collect();
        let gave_way: Vec<bool> =
            crowd.iter_mut().map(|(_, pending)| matches!(look(pending), Poll::Ready(Err(QueueFull)))).collect();
        assert_eq!(gave_way, [false, true, true, true]);
        assert!(is_turned_away(&queue, 7, "dave"), "all have one each");
        waiting.insert(0, crowd.remove(0));
        let (first, turn) = next(turn, &mut waiting);
        let (second, _turn) = next(turn, &mut waiting);
        assert_eq!((first, second), ("c1", "alice"));
    }

    #[tokio::test]
    async fn one_that_is_gone_is_passed_over() {
        let queue = LoginQueue::new(1, 4);
        let turn = begin(&queue);
        let gone = come(&queue, 2, "gone");
        let mut waiting = vec![("here", come(&queue, 3, "here"))];
        drop(gone);
        let (name, turn) = next(turn, &mut waiting);
        assert_eq!(name, "here");
        drop(turn);
        assert_eq!(queue.0.state.lock().running, 0);
        drop(begin(&queue));
    }

    #[tokio::test]
    async fn one_that_comes_again_as_soon_as_it_was_served_waits_for_the_others() {
        // req K2: three sources always have one log-in waiting, each with an account of its own.
        let queue = LoginQueue::new(1, 100);
        let mut turn = begin(&queue);
        let mut waiting: Vec<(&str, Pending)> = Vec::new();
        let crowd = [("a", 2), ("b", 3), ("c", 4)];
        for (name, from) in crowd {
            waiting.push((name, come(&queue, from, name)));
        }
        waiting.push(("office 1", come(&queue, 9, "alice")));
        waiting.push(("office 2", come(&queue, 9, "bob")));
        waiting.push(("office 3", come(&queue, 9, "carol")));
        let mut order = Vec::new();
        while waiting.iter().any(|(name, _)| name.starts_with("office")) {
            let (name, next) = next(turn, &mut waiting);
            turn = next;
            order.push(name);
            if let Some((_, from)) = crowd.iter().find(|(one, _)| *one == name) {
                waiting.push((name, come(&queue, *from, name)));
            }
            assert!(order.len() < 50, "{order:?}");
        }
        let expected = ["a", "b", "c", "office 1", "office 2", "a", "b", "c", "office 3"];
        assert_eq!(order, expected);
    }

    #[tokio::test]
    async fn a_round_ends_although_there_is_always_a_new_source() {
        // req K2
        let queue = LoginQueue::new(1, 4);
        let mut turn = begin(&queue);
        let mut waiting = vec![("first", come(&queue, 2, "first")), ("second", come(&queue, 2, "second"))];
        for from in 3..20 {
            waiting.push(("new", come(&queue, from, &from.to_string())));
            let (name, next) = next(turn, &mut waiting);
            turn = next;
            if name == "second" {
                return;
            }
        }
        panic!("it waits for all who are new")
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_not_waited_for_without_end() {
        // req K2, A8
        let queue = LoginQueue::new(1, 4);
        let turn = begin(&queue);
        assert!(queue.turn(source(2), "alice").await.is_err());
        let given_up = come(&queue, 3, "bob");
        drop(given_up);
        assert!(queue.0.state.lock().waiting.is_empty(), "each has left its place");
        drop(turn);
        drop(begin(&queue));
    }
}
