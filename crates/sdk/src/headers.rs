//! Headers of a request or an answer, made a map when somebody looks at them.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a request or an answer: a [`HeaderMap`] to all who look at them.
///
/// In a loaded plugin those of a request stay on the host's side until then, so that a plugin that hands a request on as it is
/// does not pay for carrying its headers there and back; those of most answers are one or two, for which no map is made before
/// they go onto the wire.
#[derive(Clone)]
pub struct Headers(Form);

#[derive(Clone)]
enum Form {
    Own(HeaderMap),
    Few(Few),
    Remote(Remote),
}

/// Different names.
#[derive(Clone)]
struct Few {
    first: Pair,
    second: Option<Pair>,
    read: Read,
}

#[derive(Clone)]
struct Remote {
    headers: Arc<dyn RemoteHeaders>,
    read: Read,
}

type Pair = (HeaderName, HeaderValue);

/// The map, once somebody has looked. Boxed, because headers are moved more often than read.
type Read = OnceLock<Box<HeaderMap>>;

/// Headers on the other side of the plugin interface. They do not change.
pub(crate) trait RemoteHeaders: Send + Sync {
    /// All of them.
    fn read(&self) -> HeaderMap;

    /// The first value called `name`, lower case.
    fn value(&self, name: &str) -> Option<&[u8]>;

    /// Which request they belong to.
    fn request(&self) -> usize;
}

impl Few {
    fn read(&self) -> HeaderMap {
        self.pairs()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let pairs = std::iter::once(&self.first).chain(&self.second);
        pairs.map(|(name, value)| (name, value))
    }
}

impl Headers {
    /// One header.
    pub(crate) fn one(name: HeaderName, value: HeaderValue) -> Self {
        Self(Form::Few(Few {
            first: (name, value),
            second: None,
            read: Read::new(),
        }))
    }

    /// Two headers, which differ.
    pub(crate) fn two(first: Pair, second: Pair) -> Self {
        Self(Form::Few(Few {
            first,
            second: Some(second),
            read: Read::new(),
        }))
    }

    pub(crate) fn remote(headers: Arc<dyn RemoteHeaders>) -> Self {
        Self(Form::Remote(Remote {
            headers,
            read: Read::new(),
        }))
    }

    /// The request whose headers these are, unchanged.
    pub(crate) fn untouched(&self) -> Option<usize> {
        match &self.0 {
            Form::Remote(remote) => Some(remote.headers.request()),
            Form::Own(_) | Form::Few(_) => None,
        }
    }

    /// The first value called `name`, lower case. Cheaper than [`HeaderMap::get`] where nothing else is looked at.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        match &self.0 {
            Form::Remote(remote) => remote.headers.value(name),
            Form::Few(few) => {
                let found = few.pairs().find(|(other, _)| other.as_str() == name);
                found.map(|(_, value)| value.as_bytes())
            }
            Form::Own(map) => map.get(name).map(HeaderValue::as_bytes),
        }
    }

    /// The plain map.
    pub fn into_map(self) -> HeaderMap {
        match self.0 {
            Form::Own(map) => map,
            Form::Few(mut few) => few.read.take().map_or_else(|| few.read(), |read| *read),
            Form::Remote(mut remote) => remote
                .read
                .take()
                .map_or_else(|| remote.headers.read(), |read| *read),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        match &self.0 {
            Form::Few(few) => 1 + usize::from(few.second.is_some()),
            Form::Own(_) | Form::Remote(_) => self.len(),
        }
    }

    /// Shows each of them to `look`, without making a map of few.
    pub(crate) fn each(&self, look: impl FnMut((&HeaderName, &HeaderValue))) {
        match &self.0 {
            Form::Few(few) => few.pairs().for_each(look),
            Form::Own(_) | Form::Remote(_) => self.iter().for_each(look),
        }
    }
}

impl Default for Headers {
    fn default() -> Self {
        Self(Form::Own(HeaderMap::new()))
    }
}

impl Deref for Headers {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        match &self.0 {
            Form::Own(map) => map,
            Form::Few(few) => few.read.get_or_init(|| Box::new(few.read())),
            Form::Remote(remote) => remote.read.get_or_init(|| Box::new(remote.headers.read())),
        }
    }
}

impl DerefMut for Headers {
    fn deref_mut(&mut self) -> &mut HeaderMap {
        // They may differ from here on.
        if !matches!(self.0, Form::Own(_)) {
            self.0 = Form::Own(std::mem::take(self).into_map());
        }
        match &mut self.0 {
            Form::Own(map) => map,
            Form::Few(_) | Form::Remote(_) => unreachable!("it is a map by now"),
        }
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        Self(Form::Own(map))
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

    #[test]
    fn a_few_are_what_a_map_of_them_would_be() {
        let pair = |name: HeaderName| (name, HeaderValue::from_static("a"));
        let two = Headers::two(pair(http::header::ACCEPT), pair(http::header::AGE));

        let mut seen = Vec::new();
        two.each(|(name, _)| seen.push(name.clone()));
        assert_eq!(seen, [http::header::ACCEPT, http::header::AGE]);
        assert_eq!(
            (two.count(), two.len(), two.value("age")),
            (2, 2, Some(b"a".as_slice()))
        );
        assert_eq!(two.clone().into_map(), *two);

        let mut one = Headers::one(http::header::AGE, HeaderValue::from_static("1"));
        one.insert(http::header::AGE, HeaderValue::from_static("2"));
        assert_eq!((one.count(), one.value("age")), (1, Some(b"2".as_slice())));
        assert_eq!(one.into_map().len(), 1);
    }
}
