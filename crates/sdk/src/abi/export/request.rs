//! A request that lives on the host's side.

mod lent;

pub(crate) use lent::Part;
use lent::TASK;
pub(super) use lent::{Borrowed, Lent};

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll};

use aurora_openai::chat::ChatRequest;
use aurora_openai::models::Model;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::body::BrokeOff;
use super::hold::Hold;
use super::host::RemoteHost;
use super::task::Room;
use super::{call, fetch};
use crate::abi::memory::size;
use crate::abi::raw::{Header, OK, PENDING, REQ_HAS_QUERY, REQ_STREAM, Rc, Req, ReqInfo, Str};
use crate::abi::{fault, numbers, waker};
use crate::{
    BoxFuture, ChatStream, Client, Error, Facts, Host, Level, Operation, Params, PluginHost,
    Request, Response, State, UpstreamRequest,
};

/// A request. All its functions may be called from any thread.
///
/// The host keeps it, and the instance, for as long as the task that is made for it; who has it beyond that holds both. Most
/// requests go with their task and never need to be held.
pub(crate) struct RemoteRequest {
    pub(super) req: *mut Req,
    host: NonNull<RemoteHost>,
    is_held: AtomicBool,
    info: ReqInfo,
    /// Boxed, because few ask for them.
    facts: OnceLock<Box<Facts>>,
    /// For its task.
    room: Room,
    /// The headers and the body that the plugin has of it, and [`TASK`] while its task is there. Apart from the count of the
    /// whole, because both are made with every request and gone with most.
    parts: AtomicUsize,
}

const NO_HEADER: Header = Header {
    name: Str::EMPTY,
    value: Str::EMPTY,
};

impl RemoteRequest {
    /// The request that is to be served; `None` where the host does not say what it is.
    ///
    /// # Safety
    /// `req` and the instance of `host` are there until the result is dropped.
    pub(super) unsafe fn lent(req: *mut Req, host: &Arc<RemoteHost>) -> Option<Lent> {
        let remote = Arc::<Self>::new_uninit();
        let place = Arc::as_ptr(&remote).cast_mut().cast::<Self>();
        // In its place, because it is large to move.
        // SAFETY: nobody else has the place yet, and all of it is filled: the struct of the host says its size, and the host
        // fills it where all is well.
        unsafe {
            (&raw mut (*place).req).write(req);
            (&raw mut (*place).host).write(NonNull::from(host.as_ref()));
            (&raw mut (*place).is_held).write(AtomicBool::new(false));
            (&raw mut (*place).facts).write(OnceLock::new());
            (&raw mut (*place).parts).write(AtomicUsize::new(TASK));
            let info = &raw mut (*place).info;
            (&raw mut (*info).size).write(size::<ReqInfo>());
            let code = (host.tables.request.info)(req, info);
            (code == OK).then(|| Lent(remote.assume_init()))
        }
    }

    /// The host of the instance.
    pub(super) fn host(&self) -> &RemoteHost {
        // SAFETY: the host of the request's task, or `hold_on`, keeps it.
        unsafe { self.host.as_ref() }
    }

    /// Somebody has the request beyond its task.
    fn hold_on(&self) {
        if self.is_held.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: the task is there, and so are request and instance.
        unsafe {
            (self.host().tables.request.retain)(self.req);
            Arc::increment_strong_count(self.host.as_ptr());
        }
        self.is_held.store(true, Ordering::Release);
    }

    /// Whether `request` goes on as it came, but for its body.
    pub(super) fn is_head_of(&self, request: &Request) -> bool {
        // SAFETY: texts of a request live as long as it is held.
        let same = |part: Str, text: &str| unsafe { part.bytes() } == text.as_bytes();
        request.headers.untouched() == Some(self.req.addr())
            && same(self.info.path, &request.path)
            && (self.info.flags & REQ_HAS_QUERY != 0) == request.query.is_some()
            && same(
                self.info.query,
                request.query.as_deref().unwrap_or_default(),
            )
    }

    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        pairs(self.info.header_count, |index, out| {
            // SAFETY: the request is held, and `out` is ours.
            unsafe { (self.host().tables.request.header_at)(self.req, index, out) }
        })
    }

    fn params(&self) -> Params {
        let params = pairs(self.info.param_count, |index, out| {
            // SAFETY: the request is held, and `out` is ours.
            unsafe { (self.host().tables.request.param_at)(self.req, index, out) }
        });
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        params
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    /// For what is open beyond this.
    pub(super) fn hold(&self) -> Hold {
        // SAFETY: the request is held.
        unsafe { Hold::request(self.host().tables.request, self.req) }
    }

    /// Says what is wrong; gives the code to return.
    pub(super) fn fail(&self, error: &Error) -> Rc {
        if let Some(code) = BrokeOff::code_of(error) {
            // The host knows better than we do.
            return code;
        }
        let cause = fault::cause(error);
        let lent = fault::lend(error, &cause);
        // SAFETY: the request is held, and the texts are there for the call.
        unsafe { (self.host().tables.request.fail)(self.req, &raw const lent) };
        lent.code
    }
}

/// Names and values, one after the other. Their bytes are there as long as what they belong to.
pub(super) fn pairs<'a>(
    count: u32,
    at: impl Fn(u32, *mut Header) -> Rc + 'a,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    (0..count).filter_map(move |index| {
        let mut header = NO_HEADER;
        // SAFETY: on success both texts are there, as the caller of `pairs` vouches.
        (at(index, &raw mut header) == OK)
            .then(|| unsafe { (header.name.bytes(), header.value.bytes()) })
    })
}

/// Headers that are valid; others cannot come out of a host.
pub(super) fn header_map<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    map
}

impl Host for RemoteRequest {
    fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| {
            // SAFETY: texts of a request live as long as it is held.
            let text = |part: Str| unsafe { part.to_text() }.into();
            Box::new(Facts {
                request_id: text(self.info.request_id),
                route: text(self.info.route),
                client: Client {
                    name: text(self.info.client),
                    owner: text(self.info.owner),
                },
                params: self.params(),
                stream: self.info.flags & REQ_STREAM != 0,
            })
        })
    }

    fn send(&self, request: UpstreamRequest) -> BoxFuture<'_, Result<Response, Error>> {
        Box::pin(fetch::send(self.host(), Some(self), "", request))
    }

    fn native(&self, operation: Operation) -> bool {
        let operation = numbers::of_operation(operation);
        // SAFETY: the request is held.
        let native = self
            .host()
            .tables
            .http
            .map(|http| unsafe { (http.native)(self.req, operation) });
        native.is_some_and(|native| native != 0)
    }

    fn routes_by_model(&self) -> bool {
        // SAFETY: the request is held.
        let routes = self
            .host()
            .tables
            .http
            .map(|http| unsafe { (http.routes_by_model)(self.req) });
        routes.is_none_or(|routes| routes != 0)
    }

    fn chat(&self, request: ChatRequest) -> BoxFuture<'_, Result<ChatStream, Error>> {
        Box::pin(call::chat(self, request))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<Model>, Error>> {
        Box::pin(call::models(self))
    }

    fn state(&self) -> &dyn State {
        self.host().state()
    }

    fn log(&self, level: Level, message: &str) {
        let level = numbers::of_level(level);
        // SAFETY: the request is held, and the text is there for the call.
        unsafe { (self.host().tables.request.log)(self.req, level, Str::text(message)) };
    }

    fn keep_running(&self, time: std::time::Duration) {
        let time = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: the request is held. A refusal leaves all as it was.
        let _code = unsafe { (self.host().tables.request.keep_running)(self.req, time) };
    }

    fn client_gone(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::poll_fn(|cx| self.poll_gone(cx)))
    }

    fn usage(&self, name: &str, amount: u64) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        // SAFETY: the request is held, and the text is there for the call.
        let _code =
            unsafe { (self.host().tables.request.usage)(self.req, Str::text(name), amount) };
    }
}

impl RemoteRequest {
    fn poll_gone(&self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let lent = waker::lend(cx.waker());
        // SAFETY: the request is held, and the waker is there for the call.
        match unsafe { (self.host().tables.request.cancel_poll)(self.req, &raw const lent) } {
            PENDING => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}
