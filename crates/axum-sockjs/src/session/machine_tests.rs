//! The session's life in simulated time.

use std::time::Duration;

use super::super::queue::{MESSAGE_OVERHEAD_BYTES, cost};
use super::*;

const HEARTBEAT: Duration = Duration::from_secs(25);
const DELAY: Duration = Duration::from_secs(5);
const QUEUE: usize = 1000;

/// A machine and the time it is there.
struct World {
    machine: Machine,
    now: Duration,
}

impl World {
    fn new() -> Self {
        Self::with(true)
    }

    fn with(framed: bool) -> Self {
        let rules = Rules {
            heartbeat: HEARTBEAT,
            disconnect_delay: DELAY,
            outbound_bytes: QUEUE,
            inbound_bytes: QUEUE,
            overflow: Close::SLOW_CONSUMER,
            framed,
            read_again_below: 0,
        };
        Self { machine: Machine::new(rules, Duration::ZERO), now: Duration::ZERO }
    }

    /// Open, and told so over a poll.
    fn opened() -> Self {
        let mut world = Self::new();
        assert_eq!(world.poll(), "o");
        world
    }

    /// Lets time pass as a driver would: stopping wherever the machine wants to be called.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(then) = self.machine.poll_timeout().filter(|then| *then <= end) {
            self.now = then;
            self.machine.handle_timeout(then);
        }
        self.now = end;
    }

    fn attach(&mut self, kind: ReceiverKind) -> ReceiverId {
        match self.machine.handle_attach(self.now, kind) {
            Attach::Receiver(id) => id,
            Attach::Answer(frame) => panic!("told {frame:?}"),
        }
    }

    /// What a poll is told, or `""` if it would wait; then it is aborted by whoever called.
    fn poll(&mut self) -> String {
        match self.machine.handle_attach(self.now, ReceiverKind::Poll) {
            Attach::Receiver(id) => self.next(id),
            Attach::Answer(frame) => frame.to_text(),
        }
    }

    fn next(&mut self, id: ReceiverId) -> String {
        match self.machine.poll_transmit(self.now, id) {
            Transmit::Frame(frame) => frame.to_text(),
            Transmit::Wait => String::new(),
            Transmit::Over => "over".to_owned(),
        }
    }

    fn send(&mut self, text: &str) -> Result<(), Unsendable> {
        self.machine.handle_send(self.now, Outgoing::Text(text.to_owned()))
    }

    fn close(&mut self) {
        let why = Ended::Application(Close::GO_AWAY);
        self.machine.handle_close(self.now, Close::GO_AWAY, why, Unsent::Deliver);
    }

    fn take(&mut self, text: &str) -> Result<(), Untaken> {
        self.machine.handle_incoming(vec![Incoming::Message(text.to_owned())])
    }
}

#[test]
fn an_open_frame_comes_first_and_messages_wait_for_a_poll() {
    let mut world = World::new();
    world.send("a").unwrap();
    assert_eq!(world.poll(), "o");
    world.send("b").unwrap();
    assert_eq!(world.poll(), r#"a["a","b"]"#);
}

#[test]
fn raw_json_stands_unquoted() {
    let mut world = World::opened();
    world.machine.handle_send(world.now, Outgoing::Json(r#"{"connected":{}}"#.to_owned())).unwrap();
    world.send("x").unwrap();
    assert_eq!(world.poll(), r#"a[{"connected":{}},"x"]"#);
}

#[test]
fn a_quiet_receiver_is_sent_a_heartbeat_every_25_seconds() {
    let mut world = World::opened();
    let stream = world.attach(ReceiverKind::Stream);
    world.pass(HEARTBEAT.checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!(world.next(stream), "");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.next(stream), "h");
    assert_eq!(world.next(stream), "");
    world.pass(Duration::from_secs(10));
    world.send("a").unwrap();
    assert_eq!(world.next(stream), r#"a["a"]"#);
    world.pass(Duration::from_secs(24));
    assert_eq!(world.next(stream), "", "a message is as good as a heartbeat");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.next(stream), "h");
}

#[test]
fn a_receiver_that_takes_nothing_for_two_heartbeats_is_broken() {
    let mut world = World::opened();
    let stream = world.attach(ReceiverKind::Stream);
    world.pass(2 * HEARTBEAT);
    assert_eq!(world.machine.ended(), Some(&Ended::Interrupted));
    assert_eq!(world.next(stream), "over");
}

#[test]
fn a_session_dies_5_seconds_after_its_last_receiver_left() {
    let mut world = World::opened();
    world.pass(Duration::from_secs(4));
    let stream = world.attach(ReceiverKind::Stream);
    world.pass(Duration::from_secs(20));
    world.machine.handle_detach(world.now, stream, Left::Finished);
    world.pass(Duration::from_millis(4_999));
    assert_eq!(world.machine.ended(), None);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.machine.ended(), Some(&Ended::TimedOut));
    assert!(world.machine.is_dead());
    assert_eq!(world.send("late"), Err(Unsendable::Ended));
}

#[test]
fn a_second_receiver_is_sent_away_and_the_first_survives() {
    let mut world = World::opened();
    let first = world.attach(ReceiverKind::Stream);
    assert_eq!(world.poll(), r#"c[2010,"Another connection still open"]"#);
    world.send("a").unwrap();
    assert_eq!(world.next(first), r#"a["a"]"#);
    assert_eq!(world.machine.ended(), None);
}

#[test]
fn a_closed_session_says_so_to_every_poll_until_it_dies() {
    let mut world = World::opened();
    world.close();
    for _ in 0..4 {
        assert_eq!(world.poll(), r#"c[3000,"Go away!"]"#);
        world.pass(Duration::from_secs(1));
    }
    assert!(!world.machine.is_dead());
    world.pass(Duration::from_secs(1));
    assert!(world.machine.is_dead(), "asking does not keep it alive");
}

#[test]
fn what_was_sent_before_the_close_goes_out_before_it() {
    let mut world = World::new();
    world.send("bye").unwrap();
    world.close();
    assert_eq!(world.poll(), "o");
    assert_eq!(world.poll(), r#"a["bye"]"#);
    assert_eq!(world.poll(), r#"c[3000,"Go away!"]"#);
}

#[test]
fn a_close_that_drops_leaves_nothing_to_fetch() {
    let mut world = World::opened();
    world.send("secret").unwrap();
    let why = Ended::Application(Close::GO_AWAY);
    world.machine.handle_close(world.now, Close::GO_AWAY, why, Unsent::Drop);
    assert_eq!(world.poll(), r#"c[3000,"Go away!"]"#);
}

#[test]
fn a_close_unlinks_the_receiver_so_that_a_new_one_is_told_the_close() {
    let mut world = World::opened();
    let stream = world.attach(ReceiverKind::Stream);
    world.close();
    assert_eq!(world.poll(), r#"c[3000,"Go away!"]"#);
    assert_eq!(world.next(stream), r#"c[3000,"Go away!"]"#);
    assert_eq!(world.next(stream), "over");
}

#[test]
fn an_aborted_poll_interrupts_the_session() {
    let mut world = World::opened();
    let poll = world.attach(ReceiverKind::Poll);
    world.send("a").unwrap();
    world.machine.handle_detach(world.now, poll, Left::Aborted);
    assert_eq!(world.machine.ended(), Some(&Ended::Interrupted));
    assert_eq!(world.poll(), r#"c[1002,"Connection interrupted"]"#);
    world.pass(DELAY);
    assert!(world.machine.is_dead());
}

#[test]
fn a_receiver_that_was_let_go_cannot_harm_its_successor() {
    let mut world = World::opened();
    let first = world.attach(ReceiverKind::Poll);
    world.send("a").unwrap();
    assert_eq!(world.next(first), r#"a["a"]"#);
    let second = world.attach(ReceiverKind::Stream);
    world.machine.handle_detach(world.now, first, Left::Aborted);
    world.send("b").unwrap();
    assert_eq!(world.next(second), r#"a["b"]"#);
}

#[test]
fn a_socket_takes_its_session_with_it() {
    for (left, why) in [
        (Left::Closed(Some(1001)), Ended::Client(Some(1001))),
        (Left::Aborted, Ended::Interrupted),
        (Left::Finished, Ended::Interrupted),
    ] {
        let mut world = World::new();
        let socket = world.attach(ReceiverKind::Socket);
        world.machine.handle_detach(world.now, socket, left);
        assert_eq!(world.machine.ended(), Some(&why));
        assert!(world.machine.is_dead());
    }
}

#[test]
fn an_overflow_ends_the_session_and_drops_what_waits() {
    let mut world = World::opened();
    let fits = "x".repeat(QUEUE - MESSAGE_OVERHEAD_BYTES - 2);
    world.send(&fits).unwrap();
    assert_eq!(world.send(""), Err(Unsendable::Overflow));
    assert_eq!(world.machine.ended(), Some(&Ended::Overflow));
    assert_eq!(world.poll(), r#"c[1008,"Too much unread"]"#);
}

#[test]
fn a_full_inbound_buffer_gives_a_batch_back_whole() {
    let mut world = World::opened();
    let large = "x".repeat(2 * QUEUE);
    world.take(&large).unwrap();
    assert_eq!(world.take("y"), Err(Untaken::Full(vec![Incoming::Message("y".to_owned())])));
    assert_eq!(world.machine.poll_incoming(), Some(Incoming::Message(large)));
    world.take("y").unwrap();
}

#[test]
fn what_the_client_sent_before_it_left_is_still_read_but_not_after_our_close() {
    let mut world = World::opened();
    world.take("a").unwrap();
    world.pass(DELAY);
    assert_eq!(world.machine.ended(), Some(&Ended::TimedOut));
    assert!(world.machine.poll_incoming().is_some());

    let mut world = World::opened();
    world.take("a").unwrap();
    world.close();
    assert_eq!(world.machine.poll_incoming(), None);
    assert_eq!(world.take("b"), Err(Untaken::Ended));
}

#[test]
fn without_framing_nothing_opens_and_text_stands_as_it_is() {
    let mut world = World::with(false);
    let socket = world.attach(ReceiverKind::Socket);
    assert_eq!(world.next(socket), "");
    world.send("a\n").unwrap();
    let sent = world.machine.poll_transmit(world.now, socket);
    assert_eq!(sent, Transmit::Frame(Frame::Messages(vec!["a\n".into()])));
    world.send("b").unwrap();
    world.send("c").unwrap();
    let sent = world.machine.poll_transmit(world.now, socket);
    assert_eq!(sent, Transmit::Frame(Frame::Messages(vec!["b".into()])), "one at a time");
}

#[test]
fn the_first_reason_to_end_stays() {
    let mut world = World::opened();
    world.close();
    world.machine.handle_close(world.now, Close::new(4000, "later"), Ended::Overflow, Unsent::Deliver);
    assert_eq!(world.machine.ended(), Some(&Ended::Application(Close::GO_AWAY)));
    world.pass(DELAY);
    assert_eq!(world.machine.ended(), Some(&Ended::Application(Close::GO_AWAY)));
}

#[test]
fn what_came_before_a_violation_is_answered_before_the_close() {
    let mut world = World::new();
    let socket = world.attach(ReceiverKind::Socket);
    assert_eq!(world.next(socket), "o");
    world.take("a").unwrap();
    world.machine.handle_violation(world.now, Close::PROTOCOL_ERROR);
    assert_eq!(world.machine.ended(), None, "nothing was taken yet");
    assert!(world.machine.poll_incoming().is_some());
    world.machine.handle_all_answered(world.now);
    assert_eq!(world.machine.ended(), None, "what was taken is being answered");
    world.send("answer").unwrap();
    assert_eq!(world.machine.poll_incoming(), None);
    world.machine.handle_all_answered(world.now);
    assert_eq!(world.machine.ended(), Some(&Ended::Malformed(Close::PROTOCOL_ERROR)));
    assert_eq!(world.next(socket), r#"a["answer"]"#);
    assert_eq!(world.next(socket), r#"c[1002,"WebSocket protocol error"]"#);
}

#[test]
fn a_violation_with_nothing_to_answer_is_the_end() {
    let mut world = World::new();
    world.machine.handle_violation(world.now, Close::BINARY);
    assert_eq!(world.machine.ended(), Some(&Ended::Malformed(Close::BINARY)));
}

#[test]
fn what_is_being_written_counts_until_it_is() {
    let mut world = World::opened();
    let stream = world.attach(ReceiverKind::Stream);
    world.send("a").unwrap();
    let queued = world.machine.outbound_bytes();
    assert_eq!(queued, MESSAGE_OVERHEAD_BYTES + 3);
    assert_eq!(world.next(stream), r#"a["a"]"#);
    assert_eq!(world.machine.outbound_bytes(), queued);
    let fits = QUEUE - 2 * queued;
    let shared = |bytes: usize| "x".repeat(bytes).into();
    assert_eq!(world.machine.handle_send_within(world.now, shared(100), queued), Err(Unsendable::Full));
    assert_eq!(world.machine.handle_send_within(world.now, shared(fits), QUEUE), Ok(()));
    world.machine.handle_written(world.now, queued, 0);
    assert_eq!(world.machine.outbound_bytes(), fits + MESSAGE_OVERHEAD_BYTES);
    world.machine.handle_discard();
    assert_eq!(world.machine.handle_send_within(world.now, shared(100), 10), Ok(()), "one of any size");
}

#[test]
fn a_close_is_owed_until_it_is_written() {
    let mut world = World::opened();
    assert!(!world.machine.owes_close());
    world.close();
    assert!(world.machine.owes_close());
    assert_eq!(world.poll(), r#"c[3000,"Go away!"]"#);
    assert!(world.machine.owes_close(), "it may be on its way");
    world.machine.handle_close_written();
    assert!(!world.machine.owes_close());

    let mut world = World::opened();
    let poll = world.attach(ReceiverKind::Poll);
    world.machine.handle_detach(world.now, poll, Left::Aborted);
    assert!(!world.machine.owes_close(), "its client left");
}

#[test]
fn a_forgotten_session_dies_once_it_is_closed_and_has_no_receiver() {
    // Closed first.
    let mut world = World::opened();
    world.machine.handle_close(world.now, Close::GO_AWAY, Ended::Application(Close::GO_AWAY), Unsent::Deliver);
    assert!(!world.machine.is_dead(), "it is remembered");
    world.machine.handle_forget();
    assert!(world.machine.is_dead());
    assert_eq!(world.machine.ended(), Some(&Ended::Application(Close::GO_AWAY)));
    // Closed later, with a receiver, which hears of it.
    let mut world = World::opened();
    world.machine.handle_forget();
    assert!(!world.machine.is_dead(), "it is open");
    let id = world.attach(ReceiverKind::Poll);
    world.machine.handle_close(world.now, Close::GO_AWAY, Ended::Application(Close::GO_AWAY), Unsent::Deliver);
    assert!(!world.machine.is_dead(), "its client is still to hear of it");
    let told = world.machine.poll_transmit(world.now, id);
    assert!(matches!(told, Transmit::Frame(Frame::Close(_))), "{told:?}");
    assert!(world.machine.is_dead());
}

#[test]
fn a_client_that_still_reads_its_answer_is_waited_for() {
    for kind in [ReceiverKind::Poll, ReceiverKind::Stream] {
        let mut world = World::opened();
        world.send("a").unwrap();
        let receiver = world.attach(kind);
        assert_eq!(world.next(receiver), r#"a["a"]"#);
        let cost = world.machine.outbound_bytes();
        world.machine.handle_detach(world.now, receiver, Left::Finished);
        world.pass(DELAY * 5);
        assert_eq!(world.machine.ended(), None, "{kind:?}: it cannot come back before it has read this");
        world.machine.handle_written(world.now, cost, 0);
        world.pass(Duration::from_millis(4_999));
        assert_eq!(world.machine.ended(), None);
        world.pass(Duration::from_millis(1));
        assert_eq!(world.machine.ended(), Some(&Ended::TimedOut));
    }
}

#[test]
fn one_that_never_reads_its_answer_is_not_waited_for_without_end() {
    let mut world = World::opened();
    world.send("a").unwrap();
    let poll = world.attach(ReceiverKind::Poll);
    assert_eq!(world.next(poll), r#"a["a"]"#);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.machine.ended(), Some(&Ended::TimedOut));
}

#[test]
fn a_stream_whose_client_reads_slowly_is_not_given_up() {
    let mut world = World::opened();
    let stream = world.attach(ReceiverKind::Stream);
    world.send("a").unwrap();
    assert_eq!(world.next(stream), r#"a["a"]"#);
    for _ in 0..10 {
        world.pass(HEARTBEAT + HEARTBEAT / 2);
        world.machine.handle_taken(world.now, stream);
    }
    assert!(world.machine.has_receiver(), "it takes a piece now and then");
    world.pass(HEARTBEAT * 2);
    assert!(!world.machine.has_receiver(), "and now it takes nothing");
}

#[test]
fn a_frame_is_made_of_no_more_than_a_bound_unless_one_message_is() {
    let mut world = World::new();
    world.machine.rules.outbound_bytes = 1024 * 1024;
    let stream = world.attach(ReceiverKind::Stream);
    assert_eq!(world.next(stream), "o");
    let lengths = [30_000, 30_000, 30_000, 100_000, 1, 1];
    for length in lengths {
        world.send(&"x".repeat(length)).unwrap();
    }
    // Each with its quotes, and commas between.
    let frames: Vec<usize> = (0..4).map(|_| world.next(stream).len()).collect();
    assert_eq!(frames, [60_008, 30_005, 100_005, 10]);
    // What a poll is told is written as it is.
    world.machine.handle_detach(world.now, stream, Left::Finished);
    for length in lengths {
        world.send(&"x".repeat(length)).unwrap();
    }
    assert_eq!(world.poll().len(), 190_022);
}

#[test]
fn a_client_that_fetches_what_was_sent_before_the_close_has_time_for_the_rest() {
    let mut world = World::new();
    world.machine.rules.outbound_bytes = 1024 * 1024;
    assert_eq!(world.poll(), "o");
    for _ in 0..10 {
        world.send(&"x".repeat(60_000)).unwrap();
    }
    world.machine.handle_close(world.now, Close::GO_AWAY, Ended::Application(Close::GO_AWAY), Unsent::Deliver);
    for _ in 0..10 {
        world.pass(DELAY / 2 + DELAY / 4);
        let script = world.attach(ReceiverKind::Script);
        assert_eq!(world.next(script).len(), 60_005);
        world.machine.handle_written(world.now, cost(60_002), 0);
        assert!(world.machine.owes_close());
    }
    assert!(world.poll().starts_with("c[3000"));
    world.pass(DELAY);
    assert!(world.machine.is_dead());
}

#[test]
fn a_script_is_not_made_before_the_last_one_is_written() {
    // Escapes make it several times as long.
    let mut world = World::new();
    world.machine.rules.outbound_bytes = 1024 * 1024;
    assert_eq!(world.poll(), "o");
    world.send(&"<".repeat(60_000)).unwrap();
    world.send(&"<".repeat(60_000)).unwrap();
    let first = world.attach(ReceiverKind::Script);
    assert_eq!(world.next(first).len(), 60_005);
    world.machine.handle_escaped(300_000);
    assert_eq!(world.machine.outbound_bytes(), 2 * cost(60_002) + 300_000);
    let second = world.attach(ReceiverKind::Script);
    assert_eq!(world.machine.poll_transmit(world.now, second), Transmit::Wait);
    assert!(!world.machine.wants_transmit());
    // What is escaped closes no session.
    world.send(&"<".repeat(800_000)).unwrap();
    world.machine.handle_written(world.now, cost(60_002), 300_000);
    assert_eq!(world.next(second).len(), 60_005);
}
