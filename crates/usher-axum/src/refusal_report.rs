//! A refused credential, for the log and the observer: at admission, and on an open connection.

use usher_auth::carriers::Carrier;
use usher_auth::connection::Connection;
use usher_auth::refusal::Refusal;

use crate::observer::{Event, Scene};
use crate::{Observer, Presenter};

/// Where `connection` is, for the observer.
pub(crate) fn scene<'a>(connection: &'a Connection, presenter: &'a Presenter) -> Scene<'a> {
    presenter.scene(connection.id(), &connection.rules().path)
}

/// For the log and the observer: who was not let in, and why. Never what they presented.
pub(crate) fn report_refusal(
    observer: &dyn Observer,
    connection: &Connection,
    presenter: &Presenter,
    refusal: &Refusal,
    carrier: Option<Carrier>,
) {
    observer.observe(&scene(connection, presenter), &Event::Refused { refusal, carrier });
    tracing::info!(
        origin = presenter.origin.as_deref().unwrap_or("-"),
        code = refusal.code(),
        detail = refusal.detail(),
        "refused"
    );
}
