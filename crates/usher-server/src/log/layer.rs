//! The layer that writes events: whatever a call site logs goes through it, so that none can forget to escape.

use std::io::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::LogFormat;
use super::form::{Fields, escaped, pairs};
use usher_audit::hidden_text::escape_in_json;

/// Writes each event as one line.
pub(super) struct LogLayer<W> {
    format: LogFormat,
    colored: bool,
    with_time: bool,
    writer: W,
}

impl<W> LogLayer<W> {
    pub(super) fn new(format: LogFormat, colored: bool, with_time: bool, writer: W) -> Self {
        Self { format, colored, with_time, writer }
    }

    fn text(&self, event: &Line<'_>) -> String {
        let mut out = String::with_capacity(256);
        let (dim, reset) = if self.colored { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
        if self.with_time {
            out.push_str(&format!("{dim}{:.6}{reset} ", Timestamp::now()));
        }
        let color = match *event.level {
            _ if !self.colored => "",
            Level::ERROR => "\u{1b}[31m",
            Level::WARN => "\u{1b}[33m",
            Level::INFO => "\u{1b}[32m",
            Level::DEBUG => "\u{1b}[34m",
            Level::TRACE => "\u{1b}[35m",
        };
        out.push_str(&format!("{color}{:>5}{reset} ", event.level.as_str()));
        for (name, fields) in &event.spans {
            out.push_str(name);
            out.push('{');
            pairs(&fields.values, true, &mut out);
            out.push_str("}: ");
        }
        out.push_str(dim);
        escaped(event.target, &mut out);
        out.push(':');
        out.push_str(reset);
        if !event.fields.message.is_empty() {
            out.push(' ');
            escaped(&event.fields.message, &mut out);
        }
        pairs(&event.fields.values, false, &mut out);
        out.push('\n');
        out
    }

    fn json(event: Line<'_>) -> String {
        let mut members: Vec<(&str, Value)> = vec![
            ("timestamp", format!("{:.6}", Timestamp::now()).into()),
            ("level", event.level.as_str().into()),
            ("message", event.fields.message.into()),
        ];
        members.extend(event.fields.values);
        members.push(("target", event.target.into()));
        let spans = event.spans.into_iter().map(|(name, fields)| {
            let values = fields.values.into_iter().map(|(name, value)| (name.to_owned(), value));
            let mut span: Map<String, Value> = values.collect();
            span.insert("name".to_owned(), name.into());
            Value::Object(span)
        });
        let spans: Vec<Value> = spans.collect();
        if let Some(span) = spans.last() {
            members.push(("span", span.clone()));
            members.push(("spans", spans.into()));
        }
        let members = members.into_iter().map(|(name, value)| format!("{}:{value}", Value::from(name)));
        escape_in_json(format!("{{{}}}", members.collect::<Vec<_>>().join(","))) + "\n"
    }
}

/// An event, with the spans it happened in, the outermost first.
struct Line<'a> {
    level: &'a Level,
    target: &'a str,
    fields: Fields,
    spans: Vec<(&'static str, Fields)>,
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let log_target = fields.log_target.take();
        let spans =
            context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root).map(
                |span| {
                    let extensions = span.extensions();
                    let values = extensions.get::<Fields>().map(|fields| fields.values.clone()).unwrap_or_default();
                    (span.name(), Fields { values, ..Fields::default() })
                },
            );
        let line = Line {
            level: event.metadata().level(),
            target: log_target.as_deref().unwrap_or_else(|| event.metadata().target()),
            fields,
            spans: spans.collect(),
        };
        let text = match self.format {
            LogFormat::Text => self.text(&line),
            LogFormat::Json => Self::json(line),
        };
        // There is nowhere to say that the log cannot be written.
        let _ = self.writer.make_writer_for(event.metadata()).write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use usher_audit::hidden_text::is_hidden;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged by `work`, as lines.
    fn logged(format: LogFormat, work: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = LogLayer::new(format, false, true, move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let bytes = kept.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }

    const HOSTILE: &str =
        "a\r\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{85}\u{9b}31m\u{2028}\u{2029}\u{202e}\u{2066}\u{7f}\u{feff}";

    fn log_everything() {
        let span = tracing::info_span!("connection", id = "c1", client = HOSTILE, path = tracing::field::Empty);
        let _guard = span.enter();
        span.record("path", HOSTILE);
        tracing::info!(number = 7, yes = true, display = %HOSTILE, debug = ?HOSTILE, text = HOSTILE, "message of {HOSTILE}");
        tracing::warn!(long = %"x".repeat(1 << 20), "{}", "y".repeat(1 << 20));
        tracing::error!("without fields");
    }

    #[test]
    fn nothing_that_a_client_sends_breaks_out_of_its_field() {
        // req N4
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged(format, log_everything);
            assert_eq!(lines.len(), 3, "one line an event: {lines:#?}");
            for line in &lines {
                assert!(!line.chars().any(is_hidden), "{line}");
                assert!(line.len() < 12 * 1024, "{}", line.len());
            }
            assert!(lines[1].contains('…'));
        }
    }

    #[test]
    fn a_line_reads_as_it_did() {
        let plain = || {
            let span = tracing::info_span!("connection", id = 3, route = %"/ws");
            let _guard = span.enter();
            tracing::info!(address = %"127.0.0.1:1", revoked = 0, "listening");
        };
        let text = logged(LogFormat::Text, plain).remove(0);
        let target = module_path!();
        let (time, rest) = text.split_at(27);
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
        assert_eq!(
            rest,
            format!("  INFO connection{{id=3 route=/ws}}: {target}: listening address=127.0.0.1:1 revoked=0")
        );
        let json: Value = serde_json::from_str(&logged(LogFormat::Json, plain)[0]).expect("JSON");
        assert_eq!(
            (&json["level"], &json["message"], &json["target"]),
            (&"INFO".into(), &"listening".into(), &target.into())
        );
        assert_eq!((&json["address"], &json["revoked"]), (&"127.0.0.1:1".into(), &0.into()));
        assert_eq!((&json["span"]["name"], &json["spans"][0]["route"]), (&"connection".into(), &"/ws".into()));
    }

    #[test]
    fn what_is_escaped_in_json_reads_back() {
        // req N4
        let lines = logged(LogFormat::Json, || tracing::info!(user = HOSTILE, "m"));
        let json: Value = serde_json::from_str(&lines[0]).expect("JSON");
        assert_eq!(json["user"], HOSTILE);
    }
}
