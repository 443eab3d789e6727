//! The ways a client can talk to its session.

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A WebSocket with SockJS frames.
    Websocket,
    /// A WebSocket without.
    RawWebsocket,
    /// One frame per request.
    Xhr,
    /// Many frames in one answer, for `XMLHttpRequest`.
    XhrStreaming,
    /// Many frames in one answer, for `EventSource`.
    EventSource,
    /// Many frames in one answer, each a script in a page that does not end.
    HtmlFile,
    /// One frame per request, as a script.
    Jsonp,
    /// Messages from the client.
    XhrSend,
    /// Messages from the client, as a form.
    JsonpSend,
}

impl Transport {
    /// As in the address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::RawWebsocket => "raw_websocket",
            Self::Xhr => "xhr",
            Self::XhrStreaming => "xhr_streaming",
            Self::EventSource => "eventsource",
            Self::HtmlFile => "htmlfile",
            Self::Jsonp => "jsonp",
            Self::XhrSend => "xhr_send",
            Self::JsonpSend => "jsonp_send",
        }
    }

    /// That with this last segment under `/{server}/{session}/`.
    pub(crate) fn of_segment(segment: &str) -> Option<Self> {
        Some(match segment {
            "websocket" => Self::Websocket,
            "xhr" => Self::Xhr,
            "xhr_streaming" => Self::XhrStreaming,
            "eventsource" => Self::EventSource,
            "htmlfile" => Self::HtmlFile,
            "jsonp" => Self::Jsonp,
            "xhr_send" => Self::XhrSend,
            "jsonp_send" => Self::JsonpSend,
            _ => return None,
        })
    }

    /// The methods it takes, for `Allow`.
    pub(crate) fn methods(self) -> &'static str {
        match self {
            Self::Websocket | Self::RawWebsocket => "GET",
            Self::EventSource | Self::HtmlFile | Self::Jsonp => "OPTIONS, GET",
            Self::Xhr | Self::XhrStreaming | Self::XhrSend | Self::JsonpSend => "OPTIONS, POST",
        }
    }
}
