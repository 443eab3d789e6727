//! What is written to a wire, by whom, and what it costs.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::AsyncWrite;
use usher_auth::close_code::CloseCause;
use usher_auth::ids::ConnectionId;
use usher_auth::revocation::RevocationCause;
use usher_auth::wire::Frame;
use usher_auth::{Now, UnixTime};

use super::wire::SharedWire;
use crate::ConnectionHandle;
use crate::flusher::{Flusher, Outlet};
use crate::orders::Order;
use crate::way::Way;

const NOW: Now = Now { monotonic: std::time::Duration::from_secs(1), unix: UnixTime::from_seconds(1_760_000_000) };

/// A connection over `io` whose frames `flusher` writes.
fn connect<IO: AsyncWrite + Unpin + Send + 'static>(
    io: IO,
    handshake: &[u8],
    flusher: &Arc<Flusher>,
    number: u64,
    limit: usize,
) -> (Arc<SharedWire<IO>>, Arc<ConnectionHandle>) {
    let wire = Arc::new(SharedWire::new(io, handshake));
    let outlet = Arc::downgrade(&(wire.clone() as Arc<dyn Outlet>));
    let handle = ConnectionHandle::new(ConnectionId::from_random(u128::from(number).to_be_bytes()), limit);
    let handle = Arc::new(handle.going(Way::Flushed(flusher.clone(), outlet)));
    handle.begins_with(handshake.len());
    (wire, handle)
}

/// Counts what is written to it.
#[derive(Default)]
struct Sink {
    bytes: usize,
    writes: usize,
}

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = slices.iter().map(|slice| slice.len()).sum();
        self.bytes += written;
        self.writes += 1;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// How often memory is allocated while `frames` go to each of `members`, from the mailbox to the socket.
fn allocations(members: u64, frames: usize) -> u64 {
    let flusher = Arc::new(Flusher::default());
    let (wires, handles): (Vec<_>, Vec<_>) =
        (0..members).map(|number| connect(Sink::default(), &[], &flusher, number, 1 << 20)).unzip();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let frame = Frame::json(&"hello");
    let publish = || {
        runtime.block_on(async {
            for _ in 0..frames {
                for handle in &handles {
                    handle.deliver(&frame);
                }
            }
            while !flusher.is_at_rest() {
                tokio::task::yield_now().await;
            }
        });
    };
    // The first time each mailbox gets the places that it keeps.
    publish();
    let allocated = allocation_counter::measure(publish).count_total;
    for (wire, handle) in wires.iter().zip(&handles) {
        let io = &wire.lock().io;
        let queued = handle.queued_bytes();
        assert_eq!((io.bytes, io.writes, queued), (2 * frames * frame.len(), 2, 0), "two writes of everything");
    }
    allocated
}

#[test]
fn a_message_costs_as_many_allocations_for_a_thousand_as_for_ten() {
    for frames in [1, 16] {
        let [few, many] = [10, 1000].map(|members| allocations(members, frames));
        assert_eq!(few, many, "{frames} frames");
        assert!((1..=8).contains(&few), "the task, a chunk, and what is written: {few}");
    }
}

/// As TLS does: takes what is written, and has not flushed it.
#[derive(Default)]
struct Unflushed {
    waiting: Option<Waker>,
}

impl AsyncWrite for Unflushed {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting = Some(context.waker().clone());
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_flusher_that_comes_while_the_end_is_flushed_leaves_the_tasks_waker_there() {
    let flusher = Arc::new(Flusher::default());
    let (wire, handle) = connect(Unflushed::default(), &[], &flusher, 1, 1 << 20);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let task = Waker::from(Arc::new(Task));
    runtime.block_on(async {
        // Due at the flusher, which has not come yet; and then the end, of which the task waits to see the last flushed.
        handle.deliver(&Frame::json(&"hello"));
        handle.shut();
        handle.discard();
        let mut context = Context::from_waker(&task);
        assert!(Pin::new(&mut wire.lock().io).poll_flush(&mut context).is_pending());
        while !flusher.is_at_rest() {
            tokio::task::yield_now().await;
        }
    });
    assert!(wire.lock().io.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(&task)));
}

struct Task;

impl std::task::Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// Takes `step` bytes a write, `most` in all.
struct Trickle {
    step: usize,
    most: usize,
    taken: Vec<u8>,
}

impl Trickle {
    fn taking(step: usize, most: usize) -> Self {
        Self { step, most, taken: Vec::new() }
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let most = self.step.min(self.most - self.taken.len());
        if most == 0 {
            return Poll::Pending;
        }
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
        self.taken.extend_from_slice(&all);
        Poll::Ready(Ok(all.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// As the connection's task writes.
fn write(wire: &SharedWire<Trickle>, handle: &ConnectionHandle) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(wire.poll_write_queued(handle, &mut context), Poll::Ready(Ok(())))
}

#[test]
fn bytes_come_out_in_order_whatever_the_socket_takes_and_all_of_them_count() {
    for step in [1, 2, 3, 7, 1000] {
        let flusher = Arc::new(Flusher::default());
        let mut expected = b"HTTP/1.1 101".to_vec();
        let (wire, handle) = connect(Trickle::taking(step, 40), &expected, &flusher, 1, 1 << 20);
        for number in 0..100_u32 {
            for frame in [Frame::json(&number), Frame::ready(&[7, 7])] {
                expected.extend_from_slice(frame.as_websocket());
                handle.say(&frame);
            }
        }
        assert_eq!(handle.queued_bytes(), expected.len());
        // First the socket takes only the beginning, then the flusher comes, then the socket takes the rest.
        assert!(!write(&wire, &handle));
        assert_eq!(handle.queued_bytes(), expected.len() - 40, "what is written in part counts, too");
        let mut scratch = std::collections::VecDeque::new();
        assert!(!wire.flush(&handle, &mut scratch), "it is the task's");
        wire.lock().io.most = usize::MAX;
        assert!(write(&wire, &handle));
        assert!(wire.lock().io.taken == expected && handle.queued_bytes() == 0, "{step}");
    }
}

#[test]
fn what_the_flusher_cannot_write_goes_back_to_its_place() {
    for most in [0, 1, 7, 9, 1000] {
        let flusher = Arc::new(Flusher::default());
        let (wire, handle) = connect(Trickle::taking(5, most), &[], &flusher, 1, 1 << 20);
        let frames: Vec<_> = (0..100_u32).map(|number| Frame::json(&number)).collect();
        let expected: Vec<u8> = frames.iter().flat_map(|frame| frame.as_websocket().to_vec()).collect();
        for frame in &frames {
            handle.say(frame);
        }
        let mut scratch = std::collections::VecDeque::new();
        assert_eq!(wire.flush(&handle, &mut scratch), most < expected.len(), "{most}: left to the task");
        assert_eq!(handle.queued_bytes(), expected.len().saturating_sub(most));
        wire.lock().io.most = usize::MAX;
        assert!(write(&wire, &handle) && scratch.is_empty());
        assert_eq!(wire.lock().io.taken, expected);
    }
}

#[test]
fn a_revocation_leaves_what_was_begun_and_the_farewell() {
    // req H4
    let flusher = Arc::new(Flusher::default());
    let [first, second, bye, close] = ["first", "second", "bye", "close"].map(|text| Frame::json(&text));
    let (wire, handle) = connect(Trickle::taking(3, 3), &[], &flusher, 1, 1 << 20);
    handle.say(&first);
    handle.say(&second);
    assert!(!write(&wire, &handle));
    assert!(handle.revoke(RevocationCause::Logout, NOW));
    assert_eq!(handle.queued_bytes(), first.len() - 3, "a frame written in part is finished");
    handle.say(&second);
    assert_eq!(handle.queued_bytes(), first.len() - 3, "nothing is said before the order was heard");
    assert!(matches!(handle.take_order(), Some(Order::Revoked { .. })));
    handle.say(&bye);
    handle.say(&close);
    handle.farewell(2);
    // Another one, which comes when all is said.
    handle.revoke(RevocationCause::Administrator, NOW);
    wire.lock().io.most = usize::MAX;
    assert!(write(&wire, &handle));
    let expected: Vec<u8> = [first, bye, close].iter().flat_map(|frame| frame.as_websocket().to_vec()).collect();
    assert_eq!(wire.lock().io.taken, expected);
}

#[test]
fn the_bound_is_met_by_whatever_waits() {
    // req M9: what others deliver and what the connection itself says are one queue.
    let frame = Frame::json(&"x".repeat(100));
    for delivered in [true, false] {
        let flusher = Arc::new(Flusher::default());
        let (wire, handle) = connect(Trickle::taking(100, 60), &[], &flusher, 1, 1000);
        let mut count = 0;
        while !handle.is_shut() {
            assert!(handle.queued_bytes() <= 1000);
            if delivered {
                handle.deliver(&frame);
            } else {
                handle.say(&frame);
            }
            // The task tries to write each time, as it does for each thing that it says.
            write(&wire, &handle);
            count += 1;
            assert!(count < 20, "{} bytes are queued", handle.queued_bytes());
        }
        assert!(matches!(handle.take_order(), Some(Order::End(CloseCause::SlowConsumer, None))));
        assert_eq!(handle.queued_bytes(), frame.len() - 60, "the rest was dropped");
    }
}
