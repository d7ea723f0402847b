//! Lines of text without colours, as the library writes them, in a fifth of the time: each request writes one.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// See the module. There are no spans in Aurora, and none are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => " ERROR ",
            Level::WARN => "  WARN ",
            Level::INFO => "  INFO ",
            Level::DEBUG => " DEBUG ",
            Level::TRACE => " TRACE ",
        };
        write!(
            writer,
            "{}",
            humantime::format_rfc3339_micros(SystemTime::now())
        )?;
        writer.write_str(level)?;
        writer.write_str(metadata.target())?;
        writer.write_str(": ")?;
        context.format_fields(writer.by_ref(), event)?;
        writer.write_char('\n')
    }
}

impl<'w> FormatFields<'w> for Plain {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        // Gathered here, because each call of the writer goes through a table.
        let mut line = Fields(String::with_capacity(USUAL));
        fields.record(&mut line);
        writer.write_str(&line.0)
    }
}

/// Room for the fields of most lines, bytes.
const USUAL: usize = 384;

struct Fields(String);

impl Fields {
    /// What stands before a value.
    fn start(&mut self, field: &Field) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        let name = field.name();
        if name != MESSAGE {
            self.0.push_str(name.strip_prefix("r#").unwrap_or(name));
            self.0.push('=');
        }
    }
}

/// The field without a name.
const MESSAGE: &str = "message";

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_plain = value
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
        if is_plain && field.name() != MESSAGE {
            self.start(field);
            self.0.push('"');
            self.0.push_str(value);
            self.0.push('"');
            return;
        }
        if field.name() == MESSAGE {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.start(field);
        // Writing to a string cannot fail; what a value's own words do is up to it.
        write!(Harmless(&mut self.0), "{value:?}").unwrap_or_default();
    }
}

/// Takes what a terminal would obey out of a text: a log is looked at with tools that pass it on.
struct Harmless<'a>(&'a mut String);

impl fmt::Write for Harmless<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.0.push_str(text);
            return Ok(());
        }
        for c in text.chars() {
            if !is_obeyed(c) {
                self.0.push(c);
            } else if c.is_ascii() {
                write!(self.0, "\\x{:02x}", u32::from(c))?;
            } else {
                write!(self.0, "\\u{{{:x}}}", u32::from(c))?;
            }
        }
        Ok(())
    }
}

/// Escape, bell, backspace, form feed, delete, and the control characters beyond ASCII.
fn is_obeyed(c: char) -> bool {
    matches!(c, '\x1b' | '\x07' | '\x08' | '\x0c' | '\x7f'..='\u{9f}')
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Layer, Registry, fmt};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Kept {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What is logged by `log` without its time.
    fn lines(layer: impl Layer<Registry> + Send + Sync, kept: &Kept, log: impl FnOnce()) -> String {
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let untimed = text.lines().map(|line| {
            let (time, line) = line.split_once(' ').unwrap();
            assert_eq!(time.len(), "2026-11-27T15:38:00.693381Z".len(), "{time}");
            line
        });
        untimed.collect::<Vec<_>>().join("\n")
    }

    fn log() {
        let (none, some): (Option<&str>, _) = (None, Some("x"));
        tracing::info!(
            target: "aurora::access",
            request_id = "req_1",
            none,
            some,
            odd = "a \"quoted\" \\ line\nand \u{1b}[31m another é",
            status = 200_u16,
            left = -1,
            yes = true,
            ratio = 0.5,
            shown = %"plain words",
            debug = ?["a", "b"],
            r#type = "t",
            owned = String::from("s"),
            "request"
        );
        tracing::warn!("only \u{1b}[1m words {}", 1);
        tracing::error!(message = "by name");
        tracing::error!(code = "c");
    }

    #[test]
    fn lines_are_those_of_the_library() {
        let (ours, theirs) = (Kept::default(), Kept::default());
        let ours_layer = fmt::layer()
            .event_format(Plain)
            .fmt_fields(Plain)
            .with_writer(ours.clone());
        let theirs_layer = fmt::layer().with_ansi(false).with_writer(theirs.clone());

        let text = lines(ours_layer, &ours, log);

        assert_eq!(text, lines(theirs_layer, &theirs, log));
        assert!(text.contains("status=200") && text.lines().count() == 4);
    }

    #[test]
    fn no_value_can_speak_to_a_terminal() {
        let kept = Kept::default();
        let layer = fmt::layer()
            .event_format(Plain)
            .fmt_fields(Plain)
            .with_writer(kept.clone());

        let text = lines(layer, &kept, || {
            tracing::info!(shown = %"\u{1b}[31m\u{9b}1m", "words");
        });

        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text:?}");
    }
}
