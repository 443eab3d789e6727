//! What a service is made with. Every limit says what happens when it is reached.

use std::time::Duration;

use crate::Transport;
use crate::close::Close;
use crate::cors::AllowedOrigins;

/// Where the iframe page loads the SockJS client from, unless told otherwise: of our own origin, so that no page of it runs what
/// others serve unless somebody decided so.
const SOCKJS_URL: &str = "/sockjs.min.js";
const KIB: usize = 1024;

/// A service's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which transports are on. One that is off is 404.
    pub transports: Transports,
    /// Whose pages may read our answers.
    pub allowed_origins: AllowedOrigins,
    /// Whether `JSESSIONID` is set, for load balancers that stick to it.
    pub cookie_needed: bool,
    /// How long a receiver hears nothing until it is sent a heartbeat.
    pub heartbeat: Duration,
    /// How long a session lives without a receiver, and after its close.
    pub disconnect_delay: Duration,
    /// What a client is told when its outbound queue overflows.
    pub overflow: Close,
    /// Address of the client library, for the iframe page. The service does not serve it.
    pub sockjs_url: String,
    /// The bounds.
    pub limits: Limits,
}

/// Which transports are on. `xhr_send` is on with any of those that need it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, and named")]
pub struct Transports {
    /// `/{server}/{session}/websocket`.
    pub websocket: bool,
    /// `/websocket`, without framing.
    pub raw_websocket: bool,
    /// `xhr`.
    pub xhr: bool,
    /// `xhr_streaming`.
    pub xhr_streaming: bool,
    /// `eventsource`.
    pub eventsource: bool,
    /// `htmlfile`.
    pub htmlfile: bool,
    /// `jsonp` and `jsonp_send`. Off by default: whoever can make a browser load a script can open and read a session with it.
    pub jsonp: bool,
    /// The page `iframe*.html`.
    pub iframe: bool,
}

/// The bounds of a service.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sessions at once, over all transports. One more is answered 503.
    pub sessions: u32,
    /// Bytes of one message from a client. A longer one closes a WebSocket with 1009 and is answered 413 over HTTP.
    pub message_bytes: usize,
    /// Bytes of the body of an `xhr_send`, and of a WebSocket message, which both hold an array of messages. Beyond it as above.
    pub request_bytes: usize,
    /// Bytes that wait to be sent to one client. More ends the session with [`Config::overflow`].
    pub outbound_bytes: usize,
    /// Bytes that wait for the application in one session. Beyond it the client's next message waits, and an `xhr_send` that has
    /// waited for [`Self::inbound_wait`] is answered 503.
    pub inbound_bytes: usize,
    /// See [`Self::inbound_bytes`].
    pub inbound_wait: Duration,
    /// The task that waits in [`Session::poll_written`](crate::Session::poll_written) is woken when fewer bytes than these wait to be sent, and not
    /// only when none do: for an application that reads on then.
    pub read_again_below: usize,
    /// Frames without a message, such as pings, that a WebSocket may send before the application asks about them by
    /// [`Session::take_empty_frames`](crate::Session::take_empty_frames); after these nothing is read until it does. For an application that
    /// asks: the default has no bound.
    pub empty_frames: usize,
    /// How long the body of a request may take. Longer is answered 408.
    pub body_wait: Duration,
    /// How long a WebSocket may take to accept one frame. Longer interrupts the session.
    pub write_wait: Duration,
    /// Bytes after which a streaming response ends so that the browser lets go of them; the client comes back for the next.
    pub response_bytes: usize,
}

/// Why settings cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A bound or a time is zero, so that nothing could happen.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// It would break the page that it stands in.
    #[error("sockjs_url must be a path or an http(s) address without quotes, spaces or angle brackets")]
    SockjsUrl,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transports: Transports::default(),
            allowed_origins: AllowedOrigins::Any,
            cookie_needed: false,
            heartbeat: Duration::from_secs(25),
            disconnect_delay: Duration::from_secs(5),
            overflow: Close::SLOW_CONSUMER,
            sockjs_url: SOCKJS_URL.to_owned(),
            limits: Limits::default(),
        }
    }
}

impl Default for Transports {
    fn default() -> Self {
        Self {
            websocket: true,
            raw_websocket: true,
            xhr: true,
            xhr_streaming: true,
            eventsource: true,
            htmlfile: true,
            jsonp: false,
            iframe: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 10_000,
            message_bytes: 128 * KIB,
            request_bytes: 1024 * KIB,
            outbound_bytes: 1024 * KIB,
            inbound_bytes: 256 * KIB,
            inbound_wait: Duration::from_secs(10),
            read_again_below: 0,
            empty_frames: usize::MAX,
            body_wait: Duration::from_secs(30),
            write_wait: Duration::from_secs(20),
            response_bytes: 128 * KIB,
        }
    }
}

impl Transports {
    pub(crate) fn has(&self, transport: Transport) -> bool {
        match transport {
            Transport::Websocket => self.websocket,
            Transport::RawWebsocket => self.raw_websocket,
            Transport::Xhr => self.xhr,
            Transport::XhrStreaming => self.xhr_streaming,
            Transport::EventSource => self.eventsource,
            Transport::HtmlFile => self.htmlfile,
            Transport::Jsonp | Transport::JsonpSend => self.jsonp,
            Transport::XhrSend => self.xhr || self.xhr_streaming || self.eventsource || self.htmlfile,
        }
    }
}

impl Config {
    /// # Errors
    /// When something in it cannot be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Limits { message_bytes, request_bytes, outbound_bytes, inbound_bytes, response_bytes, .. } = self.limits;
        let zeroes = [
            ("heartbeat", self.heartbeat.is_zero()),
            ("disconnect_delay", self.disconnect_delay.is_zero()),
            ("sessions", self.limits.sessions == 0),
            ("message_bytes", message_bytes == 0),
            ("request_bytes", request_bytes == 0),
            ("outbound_bytes", outbound_bytes == 0),
            ("inbound_bytes", inbound_bytes == 0),
            ("response_bytes", response_bytes == 0),
        ];
        if let Some((name, _)) = zeroes.into_iter().find(|(_, zero)| *zero) {
            return Err(ConfigError::Zero(name));
        }
        let known = ["/", "http://", "https://"].iter().any(|start| self.sockjs_url.starts_with(start));
        let breaks = |character: char| matches!(character, '"' | '<' | '>' | '\'') || character <= ' ';
        if known && !self.sockjs_url.contains(breaks) { Ok(()) } else { Err(ConfigError::SockjsUrl) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_used_and_zeroes_cannot() {
        assert_eq!(Config::default().validate(), Ok(()));
        let no_heartbeat = Config { heartbeat: Duration::ZERO, ..Config::default() };
        assert_eq!(no_heartbeat.validate(), Err(ConfigError::Zero("heartbeat")));
        let limits = Limits { response_bytes: 0, ..Limits::default() };
        assert_eq!(Config { limits, ..Config::default() }.validate(), Err(ConfigError::Zero("response_bytes")));
    }

    #[test]
    fn the_address_of_the_client_library_cannot_break_its_page() {
        let with = |url: &str| Config { sockjs_url: url.to_owned(), ..Config::default() }.validate();
        assert_eq!(with("https://static.example/sockjs.js?v=1"), Ok(()));
        for bad in ["", "javascript:alert(1)", "/a\"><script>", "/a b"] {
            assert_eq!(with(bad), Err(ConfigError::SockjsUrl), "{bad}");
        }
    }
}
