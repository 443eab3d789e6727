//! What is measured, and how each is spoken to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::sockjs;
use crate::wire::Handshake;

/// A server that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Ours.
    Usher,
    /// A bare axum upgrade, without any authentication.
    Floor,
    /// Node.js with `ws` and `jsonwebtoken`.
    NodeWs,
    /// FastAPI on uvicorn with PyJWT.
    FastApi,
    /// Socket.IO with `jsonwebtoken`.
    SocketIo,
}

/// How a client presents a credential.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// `Authorization`, or what the server has in its place.
    Header(String),
    Query(String),
    Subprotocol(String),
    FirstMessage(String),
    Ticket(String),
    /// With the Origin of the server's own pages.
    Cookie(String),
    /// `X-Api-Key`.
    ApiKey(String),
    /// A message on SockJS's WebSocket.
    SockJs(String),
    /// `Authorization` on the request that opens an answer of SockJS's `xhr_streaming`.
    SockJsStream(String),
    /// Not at all.
    Silent,
}

/// What a client is there for. It matters to the floor, which has a path for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Member,
    Publisher,
}

impl Subject {
    pub(crate) const PEERS: [Self; 3] = [Self::NodeWs, Self::FastApi, Self::SocketIo];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Usher => "usher",
            Self::Floor => "floor",
            Self::NodeWs => "node-ws",
            Self::FastApi => "fastapi",
            Self::SocketIo => "socket.io",
        }
    }

    /// How a client comes in. `address` is the server's.
    pub(crate) fn handshake(self, role: Role, way: &Way, address: &str) -> Handshake {
        match self {
            Self::Floor => {
                let target = match role {
                    Role::Client => "/echo",
                    Role::Member => "/loop/member",
                    Role::Publisher => "/loop/publisher",
                };
                Handshake { target: target.to_owned(), ..Handshake::default() }
            }
            Self::SocketIo => Handshake {
                target: "/socket.io/?EIO=4&transport=websocket".to_owned(),
                first: Some(format!("40{}", json!({ "token": way.secret() }))),
                until: vec!["40{"],
                ..Handshake::default()
            },
            Self::Usher | Self::NodeWs | Self::FastApi => way.handshake(address),
        }
    }

    /// What joins a room, and how the answer begins; `None` where there is nothing to join.
    pub(crate) fn join(self, room: &str) -> Option<(String, &'static str)> {
        match self {
            Self::Floor => None,
            Self::SocketIo => Some((format!("42{}", json!(["join", room])), "42[\"joined\"")),
            _ => Some((json!({ "type": "join", "room": room }).to_string(), "{\"type\":\"joined\"")),
        }
    }

    /// What publishes `data` to a room. The floor is given what Usher makes of it, so that both write the same bytes.
    pub(crate) fn publish(self, room: &str, data: &str) -> String {
        match self {
            Self::Floor => {
                let user = json!({ "id": "hs256:user-0", "name": "User 0" });
                json!({ "type": "message", "room": room, "user": user, "data": data }).to_string()
            }
            Self::SocketIo => format!("42{}", json!(["publish", room, data])),
            _ => json!({ "type": "publish", "room": room, "data": data }).to_string(),
        }
    }

    /// What is answered with one frame.
    pub(crate) fn echo(self) -> &'static str {
        match self {
            Self::SocketIo => "42[\"ping\"]",
            _ => r#"{"type":"ping"}"#,
        }
    }
}

impl Way {
    fn secret(&self) -> &str {
        match self {
            Self::Header(secret)
            | Self::Query(secret)
            | Self::Subprotocol(secret)
            | Self::FirstMessage(secret)
            | Self::Ticket(secret)
            | Self::Cookie(secret)
            | Self::ApiKey(secret)
            | Self::SockJs(secret)
            | Self::SockJsStream(secret) => secret,
            Self::Silent => "",
        }
    }

    fn handshake(&self, address: &str) -> Handshake {
        let mut how =
            Handshake { target: "/ws".to_owned(), until: vec!["{\"type\":\"authenticated\""], ..Handshake::default() };
        match self {
            Self::Header(token) => how.headers.push(("Authorization", format!("Bearer {token}"))),
            Self::Query(token) => how.target = format!("/ws?token={token}"),
            Self::Subprotocol(token) => {
                let token = URL_SAFE_NO_PAD.encode(token);
                let offered = format!("base64url.bearer.authorization.k8s.io.{token}, usher.v1");
                how.headers.push(("Sec-WebSocket-Protocol", offered));
            }
            Self::FirstMessage(token) => how.first = Some(json!({ "type": "auth", "token": token }).to_string()),
            Self::Ticket(ticket) => how.target = format!("/ws?ticket={ticket}"),
            Self::Cookie(cookie) => {
                how.headers.push(("Cookie", format!("usher={cookie}")));
                how.headers.push(("Origin", format!("http://{address}")));
            }
            Self::ApiKey(key) => how.headers.push(("X-Api-Key", key.clone())),
            Self::SockJs(token) => return sockjs::web_socket(token),
            Self::SockJsStream(token) => return sockjs::stream(token),
            Self::Silent => how.until.clear(),
        }
        how
    }
}
