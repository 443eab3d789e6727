//! Who presents a credential.

use usher_auth::ids::ConnectionId;

use crate::ClientAddress;
use crate::observer::Scene;

/// Who presents a credential, apart from the credential itself.
#[derive(Clone, Debug)]
pub struct Presenter {
    /// From where.
    pub address: ClientAddress,
    /// The `Origin` of the request, if it had exactly one.
    pub origin: Option<String>,
    /// The path asked for.
    pub path: String,
}

impl Presenter {
    /// Where it happens, for the observer.
    pub fn scene<'a>(&'a self, connection: ConnectionId, route: &'a str) -> Scene<'a> {
        Scene { connection, client: self.address, origin: self.origin.as_deref(), route }
    }
}
