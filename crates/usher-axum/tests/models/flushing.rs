//! What is delivered leaves once and in order, whoever writes it, and not after a revocation (req H4).

use std::sync::atomic::AtomicBool as Unscheduled;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use shuttle::sync::atomic::AtomicBool;
use shuttle::thread;
use usher_auth::ids::ConnectionId;
use usher_auth::revocation::RevocationCause;
use usher_auth::wire::Frame;

use crate::flusher::{Flusher, Outlet};
use crate::mailbox::{ConnectionHandle, Order};
use crate::sync::Mutex;
use crate::{NOW, SCHEDULES};

/// Takes one frame a write from the flusher; the task can always write.
#[derive(Default)]
struct Pipe {
    inside: Mutex<Inside>,
    acknowledged: AtomicBool,
}

#[derive(Default)]
struct Inside {
    /// The task's to write.
    left: Vec<Frame>,
    written: Vec<Frame>,
}

impl Pipe {
    fn write(&self, inside: &mut Inside, frames: &mut Vec<Frame>, most: usize) {
        // A write takes its time.
        thread::yield_now();
        for frame in frames.drain(..most.min(frames.len())) {
            assert!(!self.acknowledged.load(SeqCst), "written after the acknowledgement");
            inside.written.push(frame);
        }
    }
}

impl Outlet for Pipe {
    fn flush(&self, handle: &ConnectionHandle, scratch: &mut Vec<Frame>) -> bool {
        let Some(mut inside) = self.inside.try_lock() else { return true };
        if !inside.left.is_empty() {
            handle.is_not_due();
            return false;
        }
        handle.take_due(scratch);
        self.write(&mut inside, scratch, 1);
        inside.left.append(scratch);
        !inside.left.is_empty()
    }

    fn settle(&self) {
        drop(self.inside.lock());
    }
}

/// The connection's task.
struct Task {
    connection: Arc<ConnectionHandle>,
    pipe: Arc<Pipe>,
    woken: Arc<Flag>,
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
        let pipe = Arc::new(Pipe::default());
        let outlet: Weak<dyn Outlet> = Arc::downgrade(&(pipe.clone() as Arc<dyn Outlet>));
        let connection = ConnectionHandle::new(ConnectionId::from_random([number; 16]), 1 << 20);
        let connection = Arc::new(connection.flushed_by(flusher, Some(outlet)));
        Self { connection, pipe, woken: Arc::default() }
    }

    /// As the driver does: what is left, then what is queued, until there is nothing.
    fn poll(&self) {
        self.woken.0.store(false, SeqCst);
        let waker = Waker::from(self.woken.clone());
        if let Poll::Ready(order) = self.connection.poll_order(&mut Context::from_waker(&waker), true) {
            assert!(matches!(order, Order::Revoked { .. }));
            return;
        }
        self.write();
        // Reading has queued something of our own: a pong.
        self.pipe.inside.lock().left.push(Frame::json(&"pong"));
        thread::yield_now();
        self.write();
    }

    fn write(&self) {
        while let Some(_traffic) = self.connection.traffic() {
            let mut inside = self.pipe.inside.lock();
            let mut left = std::mem::take(&mut inside.left);
            self.pipe.write(&mut inside, &mut left, usize::MAX);
            drop(inside);
            let mut inside = self.pipe.inside.lock();
            if !self.connection.drain(|frame| inside.left.push(frame)) {
                break;
            }
        }
    }
}

impl Task {
    /// Takes in a message, which is answered.
    fn take_in(&self) {
        if let Some(_traffic) = self.connection.intake() {
            self.connection.deliver(&Frame::json(&"own"));
        }
        self.poll();
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
                let delivered = |frame: &&Frame| frame.text() != "\"pong\"";
                if task.pipe.inside.lock().written.iter().filter(delivered).count() < 5 {
                    assert!(task.woken.0.load(SeqCst), "frames are left, and nobody is to write them");
                    task.poll();
                }
                let written = std::mem::take(&mut task.pipe.inside.lock().written);
                let of =
                    |name| written.iter().filter(|frame| frame.text().starts_with(name)).cloned().collect::<Vec<_>>();
                assert_eq!(of("\"own").len(), 1);
                assert_eq!(of("\"a"), ["a1", "a2"].map(|text| Frame::json(&text)));
                assert_eq!(of("\"b"), ["b1", "b2"].map(|text| Frame::json(&text)));
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
            assert!(!tasks[0].connection.drain(|_| panic!("a frame after the acknowledgement")));
        },
        SCHEDULES,
    );
}
