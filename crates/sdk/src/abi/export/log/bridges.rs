//! Records of the `log` and `tracing` crates, on their way to the host's log.

use super::{host, say};
use crate::{Level, PluginHost as _};

fn listens(level: Level) -> bool {
    host().is_some_and(|host| host.listens(level))
}

#[cfg(feature = "log")]
pub(super) fn log() {
    struct Bridge;

    fn level(level: log::Level) -> Level {
        match level {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warn,
            log::Level::Info => Level::Info,
            log::Level::Debug | log::Level::Trace => Level::Debug,
        }
    }

    impl log::Log for Bridge {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            listens(level(metadata.level()))
        }

        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                say(
                    level(record.level()),
                    &format!("{}: {}", record.target(), record.args()),
                );
            }
        }

        fn flush(&self) {}
    }

    // Who has set another logger wants that one.
    if log::set_logger(&Bridge).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}

#[cfg(feature = "tracing")]
pub(super) fn tracing() {
    use std::fmt::{self, Write as _};
    use std::sync::atomic::{AtomicU64, Ordering};

    use tracing_core::field::{Field, Visit};
    use tracing_core::span::{Attributes, Id, Record};
    use tracing_core::{Event, Metadata, Subscriber};

    /// Spans are only counted: the host has its own span for each request.
    struct Bridge(AtomicU64);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            let separator = if self.0.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _written = match field.name() {
                "message" => write!(self.0, "{separator}{value:?}"),
                name => write!(self.0, "{separator}{name}={value:?}"),
            };
        }
    }

    fn level(level: tracing_core::Level) -> Level {
        match level {
            tracing_core::Level::ERROR => Level::Error,
            tracing_core::Level::WARN => Level::Warn,
            tracing_core::Level::INFO => Level::Info,
            _ => Level::Debug,
        }
    }

    impl Subscriber for Bridge {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            listens(level(*metadata.level()))
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(self.0.fetch_add(1, Ordering::Relaxed))
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut line = Line(String::new());
            event.record(&mut line);
            let target = event.metadata().target();
            say(
                level(*event.metadata().level()),
                &format!("{target}: {}", line.0),
            );
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    let bridge = tracing_core::Dispatch::new(Bridge(AtomicU64::new(1)));
    // Who has set another subscriber wants that one.
    tracing_core::dispatcher::set_global_default(bridge).unwrap_or_default();
}
