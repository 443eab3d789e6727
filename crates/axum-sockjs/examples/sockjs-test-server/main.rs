//! The services that the protocol's own test suite wants, on `127.0.0.1:8081` or at `--listen ADDRESS`.

mod services;

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::services::services;

const LISTEN: &str = "127.0.0.1:8081";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => LISTEN.parse()?,
        (Some("--listen"), Some(address)) => address.parse()?,
        _ => return Err("usage: sockjs-test-server [--listen ADDRESS]".into()),
    };
    let listener = TcpListener::bind(address).await?;
    #[expect(clippy::print_stdout, reason = "whoever asked for port 0 wants to know")]
    {
        println!("listening on {}", listener.local_addr()?);
    }
    axum::serve(listener, services()?.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
