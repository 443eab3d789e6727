//! Actors with an inbox, permits, policies, and a client that folds frames into what it knows of a room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use usher_auth::api_key::ApiKey;
use usher_auth::carriers::Carrier;
use usher_auth::ids::{ApiKeyId, ConnectionId, Role, UserId};
use usher_auth::revocation::RevocationIndex;
use usher_auth::room::{OnForbidden, Presence, RoomName, RoomPattern, RoomPolicy, RoomRule};
use usher_auth::secret::HashedToken;
use usher_auth::user::User;
use usher_auth::wire::Frame;
use usher_auth::{Now, Permit, UnixTime, verify};
use usher_rooms::{Attendance, Receiver, RoomError, RoomMessage, Rooms};

pub(crate) const START: Now = Now { monotonic: Duration::from_secs(1000), unix: UnixTime::from_seconds(1_760_000_000) };

/// Somebody with an open connection.
pub(crate) struct Actor {
    pub(crate) attendance: Attendance,
    inbox: Arc<Inbox>,
}

/// Keeps what is delivered until it is read.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Vec<Frame>>);

impl Receiver for Inbox {
    fn deliver(&self, frame: &Frame) {
        self.0.lock().push(frame.clone());
    }
}

impl Inbox {
    pub(crate) fn frames(&self) -> Vec<Frame> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Actor {
    pub(crate) fn attach(rooms: &Rooms, permit: &Permit) -> Self {
        let inbox = Arc::<Inbox>::default();
        Self { attendance: rooms.attach(permit, new_connection(), inbox.clone()), inbox }
    }

    /// Attached, in `room`, and nothing to read.
    pub(crate) fn in_room(rooms: &Rooms, permit: &Permit, room: &str) -> Self {
        let mut actor = Self::attach(rooms, permit);
        actor.join(room);
        actor.received();
        actor
    }

    /// Sends `text` as a client would.
    pub(crate) fn send(&mut self, text: &str) -> Result<(), RoomError> {
        self.attendance.handle(&RoomMessage::parse(text).expect("a client's frame"))
    }

    pub(crate) fn join(&mut self, room: &str) {
        self.send(&format!(r#"{{"type":"join","room":"{room}"}}"#)).expect("may join");
    }

    pub(crate) fn leave(&mut self, room: &str) {
        self.send(&format!(r#"{{"type":"leave","room":"{room}"}}"#)).expect("was joined");
    }

    /// What came since the last time, in order.
    pub(crate) fn received(&self) -> Vec<Value> {
        self.inbox.frames().iter().map(json).collect()
    }

    pub(crate) fn inbox(&self) -> Arc<Inbox> {
        self.inbox.clone()
    }
}

pub(crate) fn json(frame: &Frame) -> Value {
    serde_json::from_str(frame.text()).expect("a frame is JSON")
}

pub(crate) fn new_connection() -> ConnectionId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    ConnectionId::from_random(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes())
}

/// The permit of a user with an API key, named after their id: `user-alice` is Alice.
pub(crate) fn permit(id: &str, roles: &[&str]) -> Permit {
    let short = id.strip_prefix("user-").unwrap_or(id);
    let name = short[..1].to_uppercase() + &short[1..];
    named_permit(id, &name, roles)
}

pub(crate) fn named_permit(id: &str, name: &str, roles: &[&str]) -> Permit {
    let id = UserId::local(id).expect("a user id");
    let user = User {
        id: id.clone(),
        name: name.to_owned(),
        roles: roles.iter().map(|role| Role::new(role).expect("a role")).collect(),
        disabled: false,
        created_at: START.unix,
    };
    let key = ApiKey {
        id: ApiKeyId::from_random([7; 16]),
        user: id,
        secret: HashedToken::from_bytes([7; 32]),
        label: String::new(),
        created_at: START.unix,
        expires_at: None,
    };
    let revoked = RevocationIndex::default();
    let at = verify::Circumstances { carrier: Carrier::Header, now: START, revoked: &revoked };
    verify::api_key(&key, None, Some(&user), at.now.unix, at).expect("a good key")
}

/// One rule; rights are separated by commas.
pub(crate) fn rule(pattern: &str, join: &str, publish: &str, typing: &str) -> RoomRule {
    let rights = |list: &str| list.split_terminator(',').map(|right| right.parse().expect("a right")).collect();
    RoomRule {
        pattern: RoomPattern::parse(pattern).expect("a pattern"),
        join: rights(join),
        publish: rights(publish),
        typing: rights(typing),
        presence: Presence::Full,
        on_forbidden: OnForbidden::Error,
    }
}

/// All users may do everything in rooms that match `pattern`.
pub(crate) fn open_rule(pattern: &str, presence: Presence) -> RoomRule {
    RoomRule { presence, ..rule(pattern, "any", "any", "any") }
}

pub(crate) fn boards() -> RoomPolicy {
    RoomPolicy::new(vec![open_rule("board-*", Presence::Full)])
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::canonical(name).expect("a room name")
}

/// When the next update is due, if one is owed.
pub(crate) fn deadline(rooms: &Rooms) -> Option<Duration> {
    match rooms.poll_deadline(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(at) => Some(at),
        Poll::Pending => None,
    }
}

/// What a client knows of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) viewers: Option<u64>,
    /// Complete and current, or not known.
    pub(crate) members: Option<BTreeSet<String>>,
}

/// What a client knows of its rooms.
pub(crate) type Views = BTreeMap<String, View>;

/// Folds a frame into what a client knows. A change that does not fit what is known is a failure: nobody comes twice, and nobody
/// goes who was not there.
pub(crate) fn fold(views: &mut Views, frame: &Value) {
    let Some(room) = frame["room"].as_str() else { return };
    let view = views.entry(room.to_owned()).or_default();
    let viewers = frame["viewers"].as_u64();
    let listed = frame["members"].as_array().map(|members| members.iter().map(id).collect::<BTreeSet<_>>());
    let complete = listed.filter(|listed| Some(listed.len() as u64) == viewers);
    match frame["type"].as_str().expect("a type") {
        "joined" | "viewers" => *view = View { viewers, members: complete },
        "user_joined" => {
            let members = view.members.as_mut().expect("one by one needs a complete list");
            assert!(members.insert(id(&frame["user"])), "came twice: {frame}");
            assert_eq!(Some(members.len() as u64), viewers, "{frame}");
            view.viewers = viewers;
        }
        "user_left" => {
            let members = view.members.as_mut().expect("one by one needs a complete list");
            assert!(members.remove(&id(&frame["user"])), "went without having been there: {frame}");
            assert_eq!(Some(members.len() as u64), viewers, "{frame}");
            view.viewers = viewers;
        }
        "left" => {
            views.remove(room);
        }
        _ => {}
    }
}

fn id(user: &Value) -> String {
    user["id"].as_str().expect("a user has an id").to_owned()
}
