//! What each transport puts round a frame, and before the first.

use bytes::Bytes;

use crate::Transport;
use crate::codec::{Frame, script_literal};

/// Bytes of padding before the first frame of `xhr_streaming`: some browsers show nothing before that much has come.
const XHR_PRELUDE_BYTES: usize = 2048;
/// The padding and the end of its line. Not made anew for each stream: it was a good part of what a session cost.
static XHR_PRELUDE: [u8; XHR_PRELUDE_BYTES + 1] = {
    let mut line = [b'h'; XHR_PRELUDE_BYTES + 1];
    line[XHR_PRELUDE_BYTES] = b'\n';
    line
};
/// Bytes to which the head of `htmlfile` is padded, for the same reason; it must be more than 1 KiB.
const HTMLFILE_HEAD_BYTES: usize = 1024 + 64;

/// One frame, ready to be written as one chunk.
pub(crate) fn wrap(frame: &Frame, transport: Transport, callback: &str) -> Bytes {
    let text = frame.to_text();
    let wrapped = match transport {
        // The client library decodes events like an address, which the protocol's text does not mention: a bare `%` would break it.
        Transport::EventSource => format!("data: {}\r\n\r\n", text.replace('%', "%25")),
        Transport::HtmlFile => format!("<script>\np({});\n</script>\r\n", script_literal(&text)),
        // The comment keeps others from taking the start of the answer, which the client chooses, for something else.
        Transport::Jsonp => format!("/**/{callback}({});\r\n", script_literal(&text)),
        _ => format!("{text}\n"),
    };
    Bytes::from(wrapped)
}

/// What a stream begins with.
pub(crate) fn prelude(transport: Transport, callback: &str) -> Bytes {
    match transport {
        Transport::EventSource => Bytes::from_static(b"\r\n"),
        Transport::HtmlFile => Bytes::from(htmlfile_head(callback)),
        _ => Bytes::from_static(&XHR_PRELUDE),
    }
}

/// The page is given by the protocol, to the letter.
fn htmlfile_head(callback: &str) -> String {
    let head = format!(
        "<!doctype html>\n\
         <html><head>\n  \
           <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n  \
           <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n\
         </head><body><h2>Don't panic!</h2>\n  \
           <script>\n    \
             document.domain = document.domain;\n    \
             var c = parent.{callback};\n    \
             c.start();\n    \
             function p(d) {{c.message(d);}};\n    \
             window.onload = function() {{c.stop();}};\n  \
           </script>"
    );
    format!("{head:<HTMLFILE_HEAD_BYTES$}\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::quote;

    #[test]
    fn frames_in_each_transport() {
        let frame = Frame::Messages(vec![quote("x").into()]);
        let wrapped = |transport| String::from_utf8(wrap(&frame, transport, "cb").to_vec()).unwrap();
        assert_eq!(wrapped(Transport::Xhr), "a[\"x\"]\n");
        assert_eq!(wrapped(Transport::XhrStreaming), "a[\"x\"]\n");
        assert_eq!(wrapped(Transport::EventSource), "data: a[\"x\"]\r\n\r\n");
        assert_eq!(wrapped(Transport::HtmlFile), "<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n");
        assert_eq!(wrapped(Transport::Jsonp), "/**/cb(\"a[\\\"x\\\"]\");\r\n");
    }

    #[test]
    fn a_percent_sign_survives_the_decoding_of_the_client_library() {
        let frame = Frame::Messages(vec![quote("100%").into()]);
        assert_eq!(wrap(&frame, Transport::EventSource, ""), "data: a[\"100%25\"]\r\n\r\n");
        assert_eq!(wrap(&frame, Transport::Xhr, ""), "a[\"100%\"]\n");
    }

    #[test]
    fn preludes() {
        assert_eq!(prelude(Transport::EventSource, ""), "\r\n");
        assert_eq!(prelude(Transport::XhrStreaming, "").len(), 2049);
        let head = prelude(Transport::HtmlFile, "parent_callback");
        assert!(head.len() > 1024);
        assert!(String::from_utf8(head.to_vec()).unwrap().contains("    var c = parent.parent_callback;\n"));
    }
}
