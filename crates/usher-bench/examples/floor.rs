//! The floor: what a WebSocket costs on axum when nobody asks who is there.
//!
//! `/echo` is axum's own upgrade with a read buffer of 1 KiB, and echoes. `/loop/member` holds the bare socket, and
//! `/loop/publisher` writes the texts it receives to all of them in a loop, once a ping has said that they are complete: all of them
//! in one write a socket.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{any, get};
use axum::serve::ListenerExt as _;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;
use usher_bench::floor_wire;

/// Most that a publisher's socket is read at once: a burst as large as any.
const READ_AT_ONCE: usize = 256 * 1024;

/// Connections that may wait to be accepted, as many as with every other server that is measured.
const BACKLOG: u32 = 4096;

type Members = Arc<Mutex<Vec<TcpStream>>>;

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0_u16);
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    // As Usher does: a frame is written whole.
    let listener = socket.listen(BACKLOG)?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router()).await
}

fn router() -> Router {
    Router::new()
        .route("/echo", any(echo))
        .route("/loop/member", get(member))
        .route("/loop/publisher", get(publisher))
        .with_state(Members::default())
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.read_buffer_size(1024).on_upgrade(|mut socket: WebSocket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

async fn member(State(members): State<Members>, request: Request<Body>) -> Response {
    bare(request, |stream, _| async move { members.lock().await.push(stream) })
}

async fn publisher(State(members): State<Members>, request: Request<Body>) -> Response {
    bare(request, |mut stream, mut unread| async move {
        unread.reserve(READ_AT_ONCE);
        loop {
            let (frames, used) = floor_wire::server_frames(&unread);
            unread.drain(..used);
            if !frames.is_empty() {
                write_to_all(&mut *members.lock().await, &frames).await;
            }
            if !matches!(stream.read_buf(&mut unread).await, Ok(1..)) {
                break;
            }
        }
    })
}

async fn write_to_all(members: &mut Vec<TcpStream>, frames: &[u8]) {
    let mut gone = Vec::new();
    for (index, member) in members.iter_mut().enumerate() {
        if member.write_all(frames).await.is_err() {
            gone.push(index);
        }
    }
    for index in gone.into_iter().rev() {
        members.swap_remove(index);
    }
}

/// Answers the upgrade and hands over the socket itself, with what was read of it.
fn bare<F>(mut request: Request<Body>, then: impl FnOnce(TcpStream, Vec<u8>) -> F + Send + 'static) -> Response
where
    F: Future<Output = ()> + Send,
{
    let key = request.headers().get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
    let accept = key.map(floor_wire::accept);
    let (Some(accept), Some(upgrade)) = (accept, request.extensions_mut().remove::<OnUpgrade>()) else {
        return answer(StatusCode::BAD_REQUEST);
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await
            && let Some((stream, unread)) = tcp(upgraded)
        {
            then(stream, unread).await;
        }
    });
    let mut response = answer(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, "Upgrade".parse().expect("a header value"));
    headers.insert(UPGRADE, "websocket".parse().expect("a header value"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept.parse().expect("base64 is a header value"));
    response
}

fn tcp(upgraded: Upgraded) -> Option<(TcpStream, Vec<u8>)> {
    let parts = auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded).ok()?;
    Some((parts.io.into_inner(), parts.read_buf.to_vec()))
}

fn answer(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
