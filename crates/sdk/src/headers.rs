//! Headers of a request or an answer, made a map when somebody looks at them.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::abi::export::Part;

/// The headers of a request or an answer: a [`HeaderMap`] to all who look at them.
///
/// In a loaded plugin those of a request stay on the host's side until then, so that a plugin that hands a request on as it is
/// does not pay for carrying its headers there and back; most answers have one, of which no map is made before it goes
/// onto the wire.
#[derive(Clone)]
pub struct Headers(Form);

#[derive(Clone)]
enum Form {
    Own(HeaderMap),
    One(One),
    Remote(Remote),
}

#[derive(Clone)]
struct One {
    name: HeaderName,
    value: HeaderValue,
    read: Read,
}

#[derive(Clone)]
struct Remote {
    headers: Far,
    read: Read,
}

/// Who has them.
#[derive(Clone)]
pub(crate) enum Far {
    Request(Part),
    #[cfg(test)]
    Test(std::sync::Arc<dyn RemoteHeaders>),
}

impl From<Part> for Far {
    fn from(part: Part) -> Self {
        Self::Request(part)
    }
}

impl Deref for Far {
    type Target = dyn RemoteHeaders;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Request(part) => part,
            #[cfg(test)]
            Self::Test(headers) => headers.as_ref(),
        }
    }
}

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

impl One {
    fn read(&self) -> HeaderMap {
        std::iter::once((self.name.clone(), self.value.clone())).collect()
    }
}

impl Headers {
    pub(crate) fn one(name: HeaderName, value: HeaderValue) -> Self {
        Self(Form::One(One {
            name,
            value,
            read: Read::new(),
        }))
    }

    pub(crate) fn remote(headers: impl Into<Far>) -> Self {
        Self(Form::Remote(Remote {
            headers: headers.into(),
            read: Read::new(),
        }))
    }

    /// The request whose headers these are, unchanged.
    pub(crate) fn untouched(&self) -> Option<usize> {
        match &self.0 {
            Form::Remote(remote) => Some(remote.headers.request()),
            Form::Own(_) | Form::One(_) => None,
        }
    }

    /// The first value called `name`, lower case. Cheaper than [`HeaderMap::get`] where nothing else is looked at.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        match &self.0 {
            Form::Remote(remote) => remote.headers.value(name),
            Form::One(one) => (one.name.as_str() == name).then(|| one.value.as_bytes()),
            Form::Own(map) => map.get(name).map(HeaderValue::as_bytes),
        }
    }

    /// The plain map.
    pub fn into_map(self) -> HeaderMap {
        match self.0 {
            Form::Own(map) => map,
            Form::One(mut one) => one.read.take().map_or_else(|| one.read(), |read| *read),
            Form::Remote(mut remote) => remote
                .read
                .take()
                .map_or_else(|| remote.headers.read(), |read| *read),
        }
    }

    /// The only one, of which no map was made.
    pub(crate) fn only(&self) -> Option<(&HeaderName, &HeaderValue)> {
        match &self.0 {
            Form::One(one) => Some((&one.name, &one.value)),
            Form::Own(_) | Form::Remote(_) => None,
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
            Form::One(one) => one.read.get_or_init(|| Box::new(one.read())),
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
            Form::One(_) | Form::Remote(_) => unreachable!("it is a map by now"),
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Distant {
        reads: AtomicUsize,
    }

    impl RemoteHeaders for Distant {
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
        let far = Arc::new(Distant::default());
        let mut headers = Headers::remote(Far::Test(Arc::clone(&far) as Arc<dyn RemoteHeaders>));

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
    fn one_is_what_a_map_of_it_would_be() {
        let mut one = Headers::one(http::header::AGE, HeaderValue::from_static("1"));
        assert_eq!(one.only().unwrap().0, http::header::AGE);
        assert_eq!((one.len(), one.value("age")), (1, Some(b"1".as_slice())));
        assert_eq!(one.value("accept"), None);
        assert_eq!(one.clone().into_map(), *one);

        one.insert(http::header::AGE, HeaderValue::from_static("2"));
        assert_eq!(
            (one.only(), one.value("age")),
            (None, Some(b"2".as_slice()))
        );
        assert_eq!(one.into_map().len(), 1);
    }
}
