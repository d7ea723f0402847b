//! Headers of a request, read when somebody looks at them.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderValue};

/// The headers of a request: a [`HeaderMap`] to all who look at it.
///
/// In a loaded plugin they stay on the host's side until then, so that a plugin that hands a request on as it is does not pay
/// for carrying its headers there and back.
#[derive(Clone, Default)]
pub struct Headers {
    own: HeaderMap,
    remote: Option<Remote>,
}

#[derive(Clone)]
struct Remote {
    headers: Arc<dyn RemoteHeaders>,
    /// Boxed, because requests are moved more often than read.
    read: OnceLock<Box<HeaderMap>>,
}

/// Headers on the other side of the plugin interface. They do not change.
pub(crate) trait RemoteHeaders: Send + Sync {
    /// All of them.
    fn read(&self) -> HeaderMap;

    /// The first value called `name`, lower case.
    fn value(&self, name: &str) -> Option<&[u8]>;

    /// Which request they belong to.
    fn request(&self) -> usize;
}

impl Headers {
    pub(crate) fn remote(headers: Arc<dyn RemoteHeaders>) -> Self {
        let read = OnceLock::new();
        Self {
            own: HeaderMap::new(),
            remote: Some(Remote { headers, read }),
        }
    }

    /// The request whose headers these are, unchanged.
    pub(crate) fn untouched(&self) -> Option<usize> {
        self.remote.as_ref().map(|remote| remote.headers.request())
    }

    /// The first value called `name`, lower case. Cheaper than [`HeaderMap::get`] where nothing else is looked at.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        match &self.remote {
            Some(remote) => remote.headers.value(name),
            None => self.own.get(name).map(HeaderValue::as_bytes),
        }
    }

    /// The plain map.
    pub fn into_map(mut self) -> HeaderMap {
        if self.remote.is_none() {
            return self.own;
        }
        std::mem::take(&mut *self)
    }
}

impl Deref for Headers {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        match &self.remote {
            Some(remote) => remote.read.get_or_init(|| Box::new(remote.headers.read())),
            None => &self.own,
        }
    }
}

impl DerefMut for Headers {
    fn deref_mut(&mut self) -> &mut HeaderMap {
        // They may differ from here on.
        if let Some(mut remote) = self.remote.take() {
            let read = remote.read.take();
            self.own = read.map_or_else(|| remote.headers.read(), |read| *read);
        }
        &mut self.own
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        Self {
            own: map,
            remote: None,
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Far {
        reads: AtomicUsize,
    }

    impl RemoteHeaders for Far {
        fn read(&self) -> HeaderMap {
            self.reads.fetch_add(1, Ordering::Relaxed);
            HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static("a"))])
        }

        fn value(&self, name: &str) -> Option<&[u8]> {
            (name == "accept").then_some(b"a")
        }

        fn request(&self) -> usize {
            7
        }
    }

    #[test]
    fn they_are_carried_over_once_and_only_when_looked_at() {
        let far = Arc::new(Far::default());
        let mut headers = Headers::remote(Arc::clone(&far) as Arc<dyn RemoteHeaders>);

        assert_eq!(headers.value("accept"), Some(b"a".as_slice()));
        assert_eq!(far.reads.load(Ordering::Relaxed), 0);
        assert_eq!(
            (headers.len(), headers["accept"].as_bytes()),
            (1, b"a".as_slice())
        );
        assert_eq!(headers.untouched(), Some(7));

        headers.remove("accept");
        assert_eq!((headers.untouched(), headers.len()), (None, 0));
        assert_eq!(headers.value("accept"), None);
        assert_eq!(far.reads.load(Ordering::Relaxed), 1);
    }
}
