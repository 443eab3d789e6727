//! A listener that nobody should ever reach.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

/// Accepts nothing until it is asked whether anybody came.
pub(crate) struct Canary {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Canary {
    pub(crate) async fn new() -> Self {
        Self::at("127.0.0.1").await
    }

    /// At an address of this machine.
    pub(crate) async fn at(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns once somebody connects.
    pub(crate) async fn comes(&self) -> bool {
        self.listener.accept().await.is_ok()
    }

    /// Whether anybody connected since the last look. Connections wait in order, so ours is the first only if there was no other.
    pub(crate) async fn sang(&self) -> bool {
        let ours = TcpStream::connect(self.address).await.unwrap().local_addr().unwrap();
        let mut sang = false;
        while self.listener.accept().await.unwrap().1 != ours {
            sang = true;
        }
        sang
    }
}
