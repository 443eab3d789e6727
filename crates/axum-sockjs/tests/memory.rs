//! What a session costs the server's process: 2,000 streams at once, against a server in a process of its own.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails where it is")]

use std::io::Read;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use axum_sockjs::{Application, Config, Incoming, Session, SessionHandle, SockJs, TransportRequest};
use futures_util::future::join_all;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};

const SESSIONS: usize = 2_000;
/// Opened before the first look, so that what is made once is not counted: threads, the arenas of the allocator.
const WARM_UP: usize = 100;
/// Opened at the same time; a listener's backlog is not endless.
const AT_ONCE: usize = 100;
/// Resident bytes of a session with its connection: the 14,200 that were measured, of which 10,700 are hyper's for any answer that does
/// not end, and 30 % more.
const MAX_BYTES_PER_SESSION: usize = 18_500;
/// For each step of all sessions together.
const PATIENCE: Duration = Duration::from_mins(1);
const ANNOUNCEMENT: &str = "listening on ";
const MESSAGE: &str = "to everybody";

/// Makes the test below the server of another run of itself.
const SERVE: &str = "AXUM_SOCKJS_MEMORY_SERVER";

#[test]
fn two_thousand_streams_stay_within_their_memory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if std::env::var_os(SERVE).is_none() {
        return runtime.block_on(measure());
    }
    runtime.spawn(serve());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

async fn measure() {
    let server = Server::start().await;
    let _warm_up = server.open("w", WARM_UP).await;
    let before = server.resident_bytes();
    let mut streams = server.open("s", SESSIONS).await;
    let opened = server.resident_bytes();
    server.broadcast("/s/0/s0/xhr_send").await;
    let frame = format!("a[\"{MESSAGE}\"]\n");
    let all = join_all(streams.iter_mut().map(|stream| read_until(stream, &frame)));
    tokio::time::timeout(PATIENCE, all).await.expect("everybody is told");
    let told = server.resident_bytes();
    let each = (told - before) / SESSIONS;
    let figures = format!("{before} bytes before, {opened} once all were open, {told} once all were told: {each} each");
    #[expect(clippy::print_stdout, reason = "whoever measures wants to know")]
    {
        println!("{figures}");
    }
    assert!(each <= MAX_BYTES_PER_SESSION, "{figures}");
}

struct Server {
    child: Child,
    address: SocketAddr,
    /// What else it prints has somewhere to go.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// This program again, which serves until its standard input ends.
    async fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "two_thousand_streams_stay_within_their_memory", "--nocapture"]);
        command.env(SERVE, "").kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap().expect("the server says where it is");
            if let Some((_, address)) = line.split_once(ANNOUNCEMENT) {
                return Self { child, address: address.parse().unwrap(), _output: lines };
            }
        }
    }

    /// As the kernel counts them.
    fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Streams of new sessions, each of which was told `o`.
    async fn open(&self, name: &str, count: usize) -> Vec<TcpStream> {
        let mut streams = Vec::with_capacity(count);
        while streams.len() < count {
            let first = streams.len();
            let batch = (first..count.min(first + AT_ONCE)).map(|number| async move {
                let mut stream = self.post(&format!("/s/0/{name}{number}/xhr_streaming"), "").await;
                read_until(&mut stream, "o\n").await;
                stream
            });
            streams.extend(tokio::time::timeout(PATIENCE, join_all(batch)).await.expect("all are opened"));
        }
        streams
    }

    async fn broadcast(&self, path: &str) {
        let mut stream = self.post(path, &format!("[\"{MESSAGE}\"]")).await;
        tokio::time::timeout(PATIENCE, read_until(&mut stream, "\r\n\r\n")).await.expect("an answer");
    }

    async fn post(&self, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

/// Reads up to the end of the first chunk, or head, that holds `what`.
async fn read_until(stream: &mut TcpStream, what: &str) {
    let mut read = Vec::new();
    while !read.windows(what.len()).any(|window| window == what.as_bytes()) {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
    }
}

/// Tells everybody what anybody says.
#[derive(Default)]
struct Everybody {
    sessions: Mutex<Vec<SessionHandle>>,
}

impl Application for Everybody {
    type Opener = ();

    async fn accept(&self, _request: &TransportRequest<'_>) -> Result<(), Response> {
        Ok(())
    }

    async fn admit(&self, _opener: &(), _request: &TransportRequest<'_>) -> Result<(), Response> {
        Ok(())
    }

    async fn run(&self, mut session: Session, _opener: Arc<()>) {
        self.sessions.lock().push(session.handle());
        while let Some(Incoming::Message(text)) = session.receive().await {
            for other in self.sessions.lock().iter() {
                other.send(text.as_str()).unwrap();
            }
        }
    }
}

/// With the buffers of Usher's own listener.
async fn serve() {
    const MAX_HEAD_BYTES: usize = 32 * 1024;
    let service = SockJs::new(Everybody::default(), Config::default()).unwrap();
    let router = service.router::<()>("/s");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    #[expect(clippy::print_stdout, reason = "whoever started it wants to know")]
    {
        println!("{ANNOUNCEMENT}{}", listener.local_addr().unwrap());
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_header_size(MAX_HEAD_BYTES).max_buf_size(MAX_HEAD_BYTES).max_headers(100);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        tokio::spawn(connection.with_upgrades());
    }
}
