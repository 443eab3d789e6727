//! Rooms behind a route.

use std::future::poll_fn;
use std::sync::Arc;

use usher_auth::Clock;
use usher_auth::protocol::UsherV1;
use usher_auth::route::RouteRules;
use usher_rooms::Rooms;

use super::route::AuthenticatedRoute;
use super::usher::Usher;
use crate::rooms::RoomsApplication;

impl Usher {
    /// A route whose clients speak `usher.v1` (docs/protocol.md) and join rooms. The rooms' updates are sent by a task that ends with the last clone of this
    /// `Usher`: call it once for the same rooms, and clone the route.
    pub fn rooms(&self, rooms: &Rooms) -> AuthenticatedRoute<RoomsApplication> {
        self.spawn(send_updates(rooms.clone(), self.clock().clone()));
        let application = Arc::new(RoomsApplication::new(rooms.clone(), Arc::new(())));
        AuthenticatedRoute::new(self.clone(), application, RouteRules::speaking(Arc::new(UsherV1)))
    }
}

/// Sends what is due. Runs until it is dropped.
async fn send_updates(rooms: Rooms, clock: Arc<dyn Clock>) {
    loop {
        let due = poll_fn(|context| rooms.poll_deadline(context)).await;
        tokio::time::sleep(due.saturating_sub(clock.now().monotonic)).await;
        rooms.flush(clock.now());
    }
}
