//! What is delivered leaves once and in order, whoever writes it, and not after a revocation (req H4). The wire is the crate's own.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicBool as Unscheduled;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use shuttle::sync::atomic::AtomicBool;
use shuttle::thread;
use tokio::io::AsyncWrite;
use usher_auth::ids::ConnectionId;
use usher_auth::revocation::RevocationCause;
use usher_auth::wire::Frame;

use crate::flusher::{Flusher, Outlet};
use crate::mailbox::ConnectionHandle;
use crate::orders::Order;
use crate::sync::Mutex;
use crate::way::Way;
use crate::wire::SharedWire;
use crate::{NOW, SCHEDULES, frames_left};

/// Most bytes of a write of the flusher: it leaves a frame written in part.
const FLUSHER_BYTES: usize = 5;

/// Where a socket writes to.
#[derive(Default)]
struct Pipe {
    written: Mutex<Vec<u8>>,
    acknowledged: AtomicBool,
}

/// Takes a little from the flusher, and then nothing; the task can always write.
struct Socket {
    pipe: Arc<Pipe>,
    full: bool,
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // A write takes its time.
        thread::yield_now();
        let most = if context.waker().will_wake(Waker::noop()) {
            self.full = !self.full;
            if !self.full {
                return Poll::Pending;
            }
            FLUSHER_BYTES
        } else {
            self.full = false;
            usize::MAX
        };
        assert!(!self.pipe.acknowledged.load(SeqCst), "written after the acknowledgement");
        let count = bytes.len().min(most);
        self.pipe.written.lock().extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The connection's task.
struct Task {
    connection: Arc<ConnectionHandle>,
    wire: Arc<SharedWire<Socket>>,
    pipe: Arc<Pipe>,
    woken: Arc<Flag>,
    /// It has heard of the revocation: what follows is the farewell, which is another matter.
    over: Unscheduled,
}

#[derive(Default)]
struct Flag(Unscheduled);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl Task {
    fn new(flusher: &Arc<Flusher>, number: u8) -> Self {
        Self::with_bound(flusher, number, 1 << 20)
    }

    fn with_bound(flusher: &Arc<Flusher>, number: u8, bound: usize) -> Self {
        let pipe = Arc::new(Pipe::default());
        let wire = Arc::new(SharedWire::new(Socket { pipe: pipe.clone(), full: false }, &[]));
        let outlet: Weak<dyn Outlet> = Arc::downgrade(&(wire.clone() as Arc<dyn Outlet>));
        let connection = ConnectionHandle::new(ConnectionId::from_random([number; 16]), bound);
        let connection = Arc::new(connection.going(Way::Flushed(flusher.clone(), outlet)));
        Self { connection, wire, pipe, woken: Arc::default(), over: Unscheduled::default() }
    }

    /// As the driver does: what is queued, until there is nothing.
    fn poll(&self) {
        if self.over.load(SeqCst) {
            return;
        }
        self.woken.0.store(false, SeqCst);
        let waker = Waker::from(self.woken.clone());
        let mut context = Context::from_waker(&waker);
        if let Poll::Ready(order) = self.connection.poll_order(&mut context, true) {
            assert!(matches!(order, Order::Revoked { .. }));
            self.over.store(true, SeqCst);
            return;
        }
        self.write(&mut context);
        // Reading has queued something of our own: a pong.
        self.connection.say(&Frame::json(&"pong"));
        thread::yield_now();
        self.write(&mut context);
    }

    fn write(&self, context: &mut Context<'_>) {
        if let Some(_traffic) = self.connection.traffic() {
            assert!(matches!(self.wire.poll_write_queued(&self.connection, context), Poll::Ready(Ok(()))));
        }
    }

    /// As the driver does where the application is a pipe: what is queued, if it was woken.
    fn poll_pipe(&self) {
        let waker = Waker::from(self.woken.clone());
        let mut context = Context::from_waker(&waker);
        self.woken.0.store(false, SeqCst);
        if let Poll::Ready(order) = self.connection.poll_order(&mut context, true) {
            panic!("a pipe that waits is closed: {order:?}");
        }
        self.write(&mut context);
        self.connection.all_written();
    }

    /// Takes in a message, which is answered.
    fn take_in(&self) {
        if let Some(_traffic) = self.connection.intake() {
            self.connection.deliver(&Frame::json(&"own"));
        }
        self.poll();
    }

    /// What has left once the task has come back, if it was woken to do so.
    fn written_or_woken(&self) -> Vec<String> {
        if self.connection.queued_bytes() > 0 {
            assert!(self.woken.0.load(SeqCst), "frames are left, and nothing is to write them");
            self.poll();
        }
        self.written()
    }

    /// The texts of the frames that have left, all of them whole.
    fn written(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.pipe.written.lock());
        let (mut texts, mut left) = (Vec::new(), &bytes[..]);
        while let [0x81, length, rest @ ..] = left {
            let (text, after) = rest.split_at(usize::from(*length));
            texts.push(String::from_utf8(text.to_vec()).expect("text"));
            left = after;
        }
        assert!(left.is_empty(), "a frame was left in part");
        texts
    }
}

/// Two who publish two frames each to all of `tasks`.
fn publishers(tasks: &[Task]) -> Vec<thread::JoinHandle<()>> {
    let publisher = |name: &'static str| {
        let connections: Vec<_> = tasks.iter().map(|task| task.connection.clone()).collect();
        thread::spawn(move || {
            for number in 1..=2 {
                let frame = Frame::json(&format!("{name}{number}"));
                for connection in &connections {
                    connection.deliver(&frame);
                }
            }
        })
    };
    vec![publisher("a"), publisher("b")]
}

fn wait_for(threads: Vec<thread::JoinHandle<()>>, flusher: &Flusher) {
    for thread in threads {
        thread.join().expect("no panic");
    }
    while !flusher.is_at_rest() {
        thread::yield_now();
    }
}

#[test]
fn every_frame_leaves_once_and_in_order() {
    shuttle::check_random(
        || {
            let flusher = Arc::new(Flusher::default());
            let tasks: Vec<_> = (1..=2).map(|number| Task::new(&flusher, number)).collect();
            tasks.iter().for_each(Task::poll);
            let publishing = publishers(&tasks);
            // The tasks are woken by what comes from their clients, too.
            tasks.iter().for_each(Task::take_in);
            wait_for(publishing, &flusher);
            for task in tasks {
                let mut written = task.written_or_woken();
                assert_eq!(task.connection.queued_bytes(), 0, "all that was counted has left");
                written.retain(|text| text != "\"pong\"");
                let of = |name| written.iter().filter(|text| text.starts_with(name)).cloned().collect::<Vec<_>>();
                assert_eq!(of("\"own").len(), 1);
                assert_eq!(of("\"a"), ["\"a1\"", "\"a2\""]);
                assert_eq!(of("\"b"), ["\"b1\"", "\"b2\""]);
            }
        },
        SCHEDULES,
    );
}

#[test]
fn nothing_is_written_once_the_revocation_has_returned() {
    // req H4
    shuttle::check_random(
        || {
            let flusher = Arc::new(Flusher::default());
            let tasks = vec![Task::new(&flusher, 1)];
            tasks[0].poll();
            let publishing = publishers(&tasks);
            let revoking = {
                let (connection, pipe) = (tasks[0].connection.clone(), tasks[0].pipe.clone());
                thread::spawn(move || {
                    assert!(connection.revoke(RevocationCause::Logout, NOW));
                    pipe.acknowledged.store(true, SeqCst);
                })
            };
            tasks[0].poll();
            revoking.join().expect("no panic");
            wait_for(publishing, &flusher);
            tasks[0].poll();
            assert!(frames_left(&tasks[0].connection) == 0, "a frame after the acknowledgement");
        },
        SCHEDULES,
    );
}

#[test]
fn a_pipe_that_waits_for_room_is_woken_and_never_closed() {
    // What waits is bounded by three frames of six bytes; the flusher takes some of it, too, and gives it back.
    const FRAMES: usize = 7;
    shuttle::check_random(
        || {
            let flusher = Arc::new(Flusher::default());
            let task = Task::with_bound(&flusher, 1, 18);
            task.poll_pipe();
            let piping = {
                let connection = task.connection.clone();
                thread::spawn(move || {
                    let woken = Arc::<Flag>::default();
                    let waker = Waker::from(woken.clone());
                    for number in 1..=FRAMES {
                        let frame = Frame::json(&format!("p{number}"));
                        while connection.send(&frame).is_err() {
                            woken.0.store(false, SeqCst);
                            if connection.poll_writable(&mut Context::from_waker(&waker)).is_pending() {
                                // A wake-up that is lost keeps this loop for ever.
                                while !woken.0.load(SeqCst) {
                                    thread::yield_now();
                                }
                            }
                        }
                    }
                })
            };
            let flushing = {
                let connection = task.connection.clone();
                thread::spawn(move || {
                    for _ in 0..3 {
                        connection.flush(&mut VecDeque::new());
                    }
                })
            };
            let mut written = Vec::new();
            while written.len() < FRAMES {
                if task.woken.0.load(SeqCst) {
                    task.poll_pipe();
                    written = whole_frames(&task.pipe.written.lock());
                }
                thread::yield_now();
            }
            piping.join().expect("no panic");
            flushing.join().expect("no panic");
            let expected: Vec<_> = (1..=FRAMES).map(|number| format!("\"p{number}\"")).collect();
            assert_eq!(whole_frames(&task.pipe.written.lock()), expected);
        },
        SCHEDULES,
    );
}

/// The texts of the frames that have left as a whole.
fn whole_frames(bytes: &[u8]) -> Vec<String> {
    let (mut texts, mut left) = (Vec::new(), bytes);
    while let [0x81, length, rest @ ..] = left
        && let Some((text, after)) = rest.split_at_checked(usize::from(*length))
    {
        texts.push(String::from_utf8(text.to_vec()).expect("text"));
        left = after;
    }
    texts
}
