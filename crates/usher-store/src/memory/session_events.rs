//! Session events between nodes of one process: for a single node, which has no others to tell, and for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::{MAX_QUEUED_EVENTS, ReceivedEvent, SessionEvent, SessionEventReceiver, SessionEvents, StoreError};

/// One node's end.
#[derive(Clone, Debug)]
pub struct MemorySessionEvents {
    node: u64,
    nodes: Arc<AtomicU64>,
    sender: broadcast::Sender<Published>,
}

/// An event and the node that published it, which does not hear it.
#[derive(Clone, Debug)]
struct Published {
    by: u64,
    event: Arc<SessionEvent>,
}

/// Holds a sender, too, so that it never ends.
struct Receiver {
    events: MemorySessionEvents,
    receiver: broadcast::Receiver<Published>,
}

impl Default for MemorySessionEvents {
    fn default() -> Self {
        Self { node: 0, nodes: Arc::new(AtomicU64::new(1)), sender: broadcast::Sender::new(MAX_QUEUED_EVENTS) }
    }
}

impl MemorySessionEvents {
    /// The end of another node, which hears this one and is heard by it.
    #[must_use]
    pub fn another_node(&self) -> Self {
        let node = self.nodes.fetch_add(1, Ordering::Relaxed);
        Self { node, nodes: self.nodes.clone(), sender: self.sender.clone() }
    }
}

#[async_trait]
impl SessionEvents for MemorySessionEvents {
    async fn publish(&self, event: &SessionEvent) -> Result<(), StoreError> {
        // A single node has no others to copy it for.
        if self.nodes.load(Ordering::Relaxed) > 1 {
            // An error says that no node listens.
            let _ = self.sender.send(Published { by: self.node, event: Arc::new(event.clone()) });
        }
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn SessionEventReceiver>, StoreError> {
        Ok(Box::new(Receiver { events: self.clone(), receiver: self.sender.subscribe() }))
    }
}

#[async_trait]
impl SessionEventReceiver for Receiver {
    async fn next(&mut self) -> ReceivedEvent {
        loop {
            match self.receiver.recv().await {
                Ok(published) if published.by == self.events.node => {}
                Ok(published) => return ReceivedEvent::Event(Box::new((*published.event).clone())),
                Err(RecvError::Lagged(_)) => return ReceivedEvent::Missed,
                // Not while this holds a sender.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unused_async, reason = "the suite awaits the making of nodes")]
    async fn two_nodes() -> ([Arc<dyn SessionEvents>; 2], ()) {
        let one = MemorySessionEvents::default();
        let other = one.another_node();
        ([Arc::new(one), Arc::new(other)], ())
    }

    crate::session_events_conformance!(two_nodes);
}
