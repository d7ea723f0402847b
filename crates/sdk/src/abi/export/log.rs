//! What a library says on its own: panics, and records of `log` and `tracing` where the features of these names are on.
//!
//! Each library has its own copy of the standard library and of these crates, so that all this is its own affair.

use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

use super::host::RemoteHost;
use crate::{Level, PluginHost};

/// The hosts of all instances, the newest last: which of them says a thing does not matter, they have one name. None is kept
/// from going.
static HOSTS: Mutex<Vec<Weak<RemoteHost>>> = Mutex::new(Vec::new());

fn hosts() -> MutexGuard<'static, Vec<Weak<RemoteHost>>> {
    HOSTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends panics and log records of this library to its host. Once.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| say(Level::Error, &describe(panic))));
        #[cfg(feature = "log")]
        bridges::log();
        #[cfg(feature = "tracing")]
        bridges::tracing();
    });
}

/// What is said from here on is said through `host`, as long as it is there.
pub(super) fn attach(host: &Arc<RemoteHost>) {
    let mut hosts = hosts();
    hosts.retain(|host| host.strong_count() > 0);
    hosts.push(Arc::downgrade(host));
}

fn host() -> Option<Arc<RemoteHost>> {
    // Letting go of a host is a call to the other side, and not under the lock: the one that is found is given away.
    hosts().iter().rev().find_map(Weak::upgrade)
}

fn say(level: Level, message: &str) {
    if let Some(host) = host() {
        host.log(level, message);
    }
}

/// Without a backtrace: reading the symbols would cost tens of megabytes for good.
fn describe(panic: &PanicHookInfo<'_>) -> String {
    let what = panic.payload_as_str().unwrap_or("a value that is no text");
    match panic.location() {
        Some(place) => format!("panicked at {}:{}: {what}", place.file(), place.line()),
        None => format!("panicked: {what}"),
    }
}

#[cfg(any(feature = "log", feature = "tracing"))]
mod bridges;
