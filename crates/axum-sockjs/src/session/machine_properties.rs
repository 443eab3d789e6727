//! What holds of a session whatever is done to it, and in whatever order.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::super::queue::{MESSAGE_OVERHEAD_BYTES, cost};
use super::*;

const HEARTBEAT: Duration = Duration::from_secs(25);
const DELAY: Duration = Duration::from_secs(5);
/// Bytes of either queue.
const QUEUE: usize = 400;

#[derive(Clone, Debug)]
enum Step {
    Attach(ReceiverKind),
    /// The receivers that there were are counted from the last.
    Transmit(usize),
    Detach(usize, Left),
    /// Of so many bytes; so are these.
    Send(usize),
    Incoming(Vec<usize>),
    Receive,
    Close(Unsent),
    Violation,
    Pass(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        Just(ReceiverKind::Poll),
        Just(ReceiverKind::Script),
        Just(ReceiverKind::Stream),
        Just(ReceiverKind::Socket)
    ];
    let left = prop_oneof![Just(Left::Finished), Just(Left::Finished), Just(Left::Aborted), Just(Left::Closed(None))];
    let unsent = prop_oneof![Just(Unsent::Deliver), Just(Unsent::Drop)];
    prop_oneof![
        6 => kind.prop_map(Step::Attach),
        12 => (0_usize..3).prop_map(Step::Transmit),
        2 => (0_usize..3, left).prop_map(|(receiver, left)| Step::Detach(receiver, left)),
        10 => (0_usize..120).prop_map(Step::Send),
        6 => proptest::collection::vec(0_usize..120, 0..4).prop_map(Step::Incoming),
        6 => Just(Step::Receive),
        1 => unsent.prop_map(Step::Close),
        1 => Just(Step::Violation),
        4 => (0_u64..30_000).prop_map(|milliseconds| Step::Pass(Duration::from_millis(milliseconds))),
    ]
}

/// A machine, and what was seen of it.
struct World {
    machine: Machine,
    now: Duration,
    receivers: Vec<ReceiverId>,
    /// Messages that were taken from the application, with their bytes, and how many of them went out.
    sent: Vec<usize>,
    told: usize,
    /// The same the other way.
    taken: Vec<usize>,
    delivered: usize,
    opened: bool,
    dropped: bool,
    ended: Option<Ended>,
}

/// A message that says which one it is, filled up to so many bytes at least.
fn message(number: usize, bytes: usize) -> String {
    format!("{number}:{}", "x".repeat(bytes))
}

fn number(text: &str) -> usize {
    text.split(':').next().and_then(|number| number.parse().ok()).expect("every message begins with its number")
}

impl World {
    fn new() -> Self {
        let rules = Rules {
            heartbeat: HEARTBEAT,
            disconnect_delay: DELAY,
            outbound_bytes: QUEUE,
            inbound_bytes: QUEUE,
            overflow: Close::SLOW_CONSUMER,
            framed: true,
            read_again_below: 0,
        };
        Self {
            machine: Machine::new(rules, Duration::ZERO),
            now: Duration::ZERO,
            receivers: Vec::new(),
            sent: Vec::new(),
            told: 0,
            taken: Vec::new(),
            delivered: 0,
            opened: false,
            dropped: false,
            ended: None,
        }
    }

    fn receiver(&self, from_last: usize) -> Option<ReceiverId> {
        self.receivers.iter().rev().nth(from_last).copied()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Attach(kind) => self.attach(kind),
            Step::Transmit(from_last) => self.transmit(from_last),
            Step::Detach(from_last, left) => {
                if let Some(id) = self.receiver(from_last) {
                    self.machine.handle_detach(self.now, id, left);
                }
            }
            Step::Send(bytes) => self.send(bytes),
            Step::Incoming(batch) => self.incoming(&batch),
            Step::Receive => self.receive(),
            Step::Close(unsent) => {
                self.dropped |= unsent == Unsent::Drop;
                let why = Ended::Application(Close::GO_AWAY);
                self.machine.handle_close(self.now, Close::GO_AWAY, why, unsent);
            }
            Step::Violation => self.machine.handle_violation(self.now, Close::BINARY),
            Step::Pass(time) => self.pass(time),
        }
        let ended = self.machine.ended().cloned();
        assert!(self.ended.is_none() || ended == self.ended, "the first reason stays");
        self.ended = ended;
        assert!(!self.machine.is_dead() || self.machine.poll_timeout().is_none());
    }

    fn attach(&mut self, kind: ReceiverKind) {
        let was_taken = self.machine.has_receiver();
        match self.machine.handle_attach(self.now, kind) {
            Attach::Receiver(id) => {
                assert!(!was_taken, "one receiver at a time");
                assert!(!self.receivers.contains(&id));
                self.receivers.push(id);
            }
            Attach::Answer(frame) => assert!(matches!(frame, Frame::Close(_)), "{frame:?}"),
        }
    }

    fn transmit(&mut self, from_last: usize) {
        let Some(id) = self.receiver(from_last) else { return };
        let frame = match self.machine.poll_transmit(self.now, id) {
            Transmit::Frame(frame) => frame,
            Transmit::Wait => {
                assert!(!self.machine.wants_transmit(), "who waits is woken for what there is, and not by its look");
                return assert_eq!(self.told, self.sent.len(), "nothing waits that could go out");
            }
            Transmit::Over => return,
        };
        assert_eq!(from_last, 0, "an earlier receiver is told nothing");
        assert!(self.opened != (frame == Frame::Open), "the open frame comes first, and once");
        let cost = frame.cost();
        assert!(self.machine.outbound_bytes() >= cost, "what is being written counts");
        self.machine.handle_written(self.now, cost, 0);
        match frame {
            Frame::Open => self.opened = true,
            Frame::Heartbeat => {}
            Frame::Messages(messages) => {
                for text in messages {
                    let Ok(Value::String(text)) = serde_json::from_str(&text) else { panic!("{text}") };
                    assert_eq!(number(&text), self.told, "in order, none twice, none left out");
                    self.told += 1;
                }
            }
            Frame::Close(close) => {
                let lossless = !self.dropped && close == Close::GO_AWAY;
                assert!(!lossless || self.told == self.sent.len(), "what was sent before goes out before it");
            }
        }
    }

    fn send(&mut self, bytes: usize) {
        let text = message(self.sent.len(), bytes);
        // With its quotes.
        let cost = cost(text.len() + 2);
        match self.machine.handle_send(self.now, Outgoing::Text(text)) {
            Ok(()) => {
                self.sent.push(cost);
                let waiting: usize = self.sent[self.told..].iter().sum();
                assert!(waiting <= QUEUE, "{waiting} bytes wait");
            }
            Err(Unsendable::Overflow) => {
                let waiting: usize = self.sent[self.told..].iter().sum();
                assert!(
                    waiting + cost > QUEUE && self.ended.is_none(),
                    "{waiting} bytes waited, {cost} more did not fit"
                );
            }
            Err(Unsendable::Ended) => assert!(self.ended.is_some()),
            Err(Unsendable::Full) => panic!("nothing was said of room"),
        }
    }

    fn incoming(&mut self, batch: &[usize]) {
        let first = self.taken.len();
        let messages: Vec<_> = batch.iter().zip(first..).map(|(bytes, number)| message(number, *bytes)).collect();
        let costs: Vec<_> = messages.iter().map(|message| cost(message.len())).collect();
        let waiting: usize = self.taken[self.delivered..].iter().sum();
        let more: usize = costs.iter().sum();
        let messages: Vec<_> = messages.into_iter().map(Incoming::Message).collect();
        match self.machine.handle_incoming(messages.clone()) {
            Ok(()) => {
                assert!(self.ended.is_none());
                assert!(waiting == 0 || waiting + more <= QUEUE, "{waiting} bytes waited, and {more} were taken");
                self.taken.extend(costs);
            }
            Err(Untaken::Full(back)) => {
                assert_eq!(back, messages, "given back whole");
                assert!(waiting > 0 && waiting + more > QUEUE);
            }
            Err(Untaken::Ended) => assert!(self.ended.is_some()),
        }
    }

    fn receive(&mut self) {
        match self.machine.poll_incoming() {
            Some(Incoming::Message(text)) => {
                assert_eq!(number(&text), self.delivered, "in order, none twice, none left out");
                self.delivered += 1;
            }
            Some(Incoming::Malformed(malformed)) => panic!("{malformed:?}"),
            None => assert!(self.delivered == self.taken.len() || self.ended.is_some(), "nothing is withheld"),
        }
    }

    /// As a driver would: it calls wherever the machine wants to be called.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(then) = self.machine.poll_timeout().filter(|then| *then <= end) {
            assert!(then >= self.now, "it wants to be called in the past, for ever");
            self.now = then;
            self.machine.handle_timeout(then);
            assert_ne!(self.machine.poll_timeout(), Some(then), "it wants the same call again");
        }
        self.now = end;
    }
}

proptest! {
    #[test]
    fn a_session_keeps_its_laws_whatever_is_done_to_it(steps in proptest::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        // Nobody takes a heartbeat any more.
        world.take(Step::Pass(2 * HEARTBEAT + DELAY));
        prop_assert!(world.machine.is_dead(), "a session that is left alone dies");
        world.take(Step::Transmit(0));
        world.take(Step::Send(MESSAGE_OVERHEAD_BYTES));
    }
}
