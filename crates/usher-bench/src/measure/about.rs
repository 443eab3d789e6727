//! What each measurement is, for the reader of the results.

use super::Measurement;

impl Measurement {
    /// What is done, and what the figures mean: a paragraph of Markdown.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Connect => {
                "How many clients a second of CPU time lets in, for each way to present a credential: TCP connection, HTTP upgrade,\n\
                 verification, and for Usher the audit record and the `authenticated` frame. 64 clients connect at a time, each as another user\n\
                 wherever the credential allows it.\n\
                 \n\
                 - *First seen* tokens were made for the run; *seen* ones were presented once before, seconds ago. So it is with session\n  \
                 cookies: Usher remembers a session from its log-in on, until something about it changes.\n\
                 - HS256, ES256 and EdDSA are what the token is signed with. *Bare* is the verification of one such token alone, on one core,\n  \
                 by the library jsonwebtoken.\n\
                 - Session cookies are of as many log-ins, fewer than the other clients because each log-in hashes a password. An API key is used\n  \
                 by 200 connections. A ticket is bought by HTTP shortly before and used once; buying it is not counted.\n\
                 - A *first message* and SockJS exchange more frames before somebody is in than the floor does, and `xhr_streaming` is a streaming\n  \
                 HTTP answer and no WebSocket: these rows, and those of the other carriers, are there to be compared and have no target.\n\
                 - The floor is measured four times in each round, before, between and after Usher's cases; the middle of these counts.\n\
                 - *connect and leave* counts the end of the connection, too. p50 and p99 are from the first packet to being let in.\n\
                 - One row is at Usher's default log level, `info`, which writes a line for each connection."
            }
            Self::Idle => {
                "The server's memory for each connection that does nothing: its proportional set size (PSS, all memory of the process, code and\n\
                 allocator included) less what it was before they came, divided by how many they are. It does not include the kernel's socket\n\
                 buffers. 200 connections are there before and stay, so that what a server makes once is not counted, and no memory is at hand that somebody\n\
                 left behind. Usher's and the peers'\n\
                 connections are authenticated and in rooms of ten. Usher's heartbeat is set to 5 s here, and memory is looked at when every\n\
                 connection has answered one and the server has gone quiet, or 2 s later: with thousands of heartbeats a second it never does. The\n\
                 peers are looked at before their own heartbeats (20 s and 25 s; node-ws has none). The floor holds an open WebSocket, in no room."
            }
            Self::FanOut => {
                "Deliveries per CPU-second, from one publisher to everybody else in a room. *Single*: the next message is published when everybody\n\
                 has the last, so that nothing can be coalesced. *Burst*: 16 are published in one write. The floor is a bare loop that writes the\n\
                 same bytes to the same sockets, 16 in one write in a burst. *Latency* is from publishing to receiving at a fixed rate of some\n\
                 20,000 deliveries a second, with the generator on the same cores: at 10,000 members that is a message every half second, and the last\n\
                 member receives it when all the others have been written to. Latencies of peers that cannot keep up with the rate grow with\n\
                 the length of the measurement."
            }
            Self::Echo => {
                "Messages per CPU-second that are answered with one frame, on 64 connections: for the floor an echo, for the others a ping\n\
                 of their own that is answered with a pong. One at a time, and 16 in one write."
            }
            Self::Revoke => {
                "How long a socket outlives its session. From the answer to `POST /auth/logout` to the close frame; 0 if the close frame was\n\
                 first. *One of*: sessions of one socket each, logged out one after the other while all the other sockets are open. *All of one user*: one\n\
                 log-out ends every socket there is."
            }
            Self::Storm => {
                "All clients reconnect at once, as after a restart: time until all are let in, how many were not within a minute, p99 of the time from a\n\
                 client's first packet to being let in, and the most memory that was resident meanwhile. Tokens were seen before; tickets were bought right\n\
                 before. All of them listen with a backlog of 4,096, which is also the most that Linux allows by default; a client whose first\n\
                 packet finds the backlog full tries again after a second, and that is what most of the time of a storm is made of where it happens."
            }
            Self::Expiry => {
                "All tokens expire in the same second: when the first and the last close frame came, counted from that second, and how long the\n\
                 pings of bystanders took before and meanwhile."
            }
            Self::Waiting => {
                "Silent sockets that have not authenticated, as many as may wait: memory for each, and how long a good client takes to\n\
                 connect beside them."
            }
            Self::Growth => {
                "CPU time of one connect, one message and one publish at different numbers of connections, in rooms of ten: whether anything costs more\n\
                 where there is more of it. No heartbeats go round meanwhile. Memory at these numbers is in *idle*."
            }
        }
    }
}
