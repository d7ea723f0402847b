/*
 * aurora_plugin.h: the C interface of Aurora's loadable plugins, version 1.0.
 *
 * For C (C99 and later), C++ (C++11 and later), and whatever can use a C header: Zig, Go, ... Rust has the aurora-sdk
 * crate. examples/hello-plugin-c is a whole plugin. Licence: MIT or Apache-2.0, as you like.
 *
 * A library exports two symbols (see AUR_DEFINE_PLUGIN): a note, which the host reads out of the file before any code
 * runs, and a function that gives the plugin's vtable. Everything else is reached by tables of functions.
 *
 * TRUST. A plugin is part of the server: it can do what the server can. Load only what you trust.
 *
 * MEMORY. Nobody frees what the other side allocated.
 *  - aur_str lends bytes. What you pass must stay for the call. What you are given stays as long as its comment says,
 *    and for the call where it says nothing: copy what you need later.
 *  - aur_buf owns bytes. "Moved" means: on AUR_OK the callee has it and zeroes yours; else it is still yours.
 *  - Handles (aur_fetch, aur_call, aur_timer, aur_join, aur_state_op) are used by one thread at a time and closed
 *    exactly once, in any state. They live as long as the request that they were made with is held, or the host where
 *    there was none: retain it to use one elsewhere. What you leave open is closed then and counted, which shows in the
 *    log. aur_req and aur_host are counted references, for any thread.
 *  - Out-pointers are written on AUR_OK only, and may not be NULL, where a comment does not say more.
 *
 * WAITING. A plugin has no event loop; the host waits for it.
 *  - A function that takes an aur_waker may answer AUR_PENDING: nothing has happened, and the waker fires when the same
 *    call may get further. Return AUR_PENDING from your own poll then, and repeat the call when you are polled again.
 *  - The waker of the last such call counts, for each function of each object. Pass on the one that you were given.
 *  - Being polled promises nothing: the same call may say AUR_PENDING once more.
 *  - Return AUR_PENDING only if a call with your waker has just said so, or if you have cloned the waker and will wake
 *    it. Otherwise nobody polls you again.
 *  - Blocking mode (AUR_PLUGIN_BLOCKING): handle() may block, and a NULL waker means "wait", on its thread and on your
 *    own ones. A client that leaves ends the wait with AUR_E_CANCELLED. Tasks and filters are polled here, too, and
 *    must not block. Without that flag a NULL waker tries once, and AUR_E_STATE says that it would
 *    have to wait: enough for a handle() that answers at once in less than 64 KiB.
 *
 * THREADS. create, drain and destroy may block for a moment. handle and begin are called by many threads at once. poll
 * and drop of one task, and the functions of one pass, are called one at a time, but by changing threads: keep nothing
 * in thread-local storage. handle, begin, tasks and passes must not block or compute for long, and 1 ms is long:
 * aurora.task.v1 has a place for that. End your own threads in destroy.
 *
 * FAILURES. No exception, panic or longjmp leaves a function of yours. Do not fork, exit or chdir, and leave signal
 * handlers, locale and environment alone: they belong to the server.
 *
 * LIFE. create, then requests, then drain (no new ones come), then destroy, when the last request and all work in the
 * background have ended. There is an instance for each use of the plugin in a route, and a new one when its options
 * change. A new version of the file is another library beside the old one, with globals of its own, and the old one
 * stays mapped: free things in destroy, not in destructors of the library or atexit.
 *
 * EVOLUTION.
 *  - Structs that begin with `size` hold as many bytes as their maker knows. They only grow, at the end. Set `size` in
 *    what you make, and ask AUR_HAS before you use a member that came after 1.0. Reserved members and flags that you do
 *    not know are 0.
 *  - aur_str, aur_buf, aur_header, aur_waker, aur_task and aur_pass have no size and never change.
 *  - Nothing is removed, renumbered or given another meaning. What cannot be appended gets a name of its own:
 *    "aurora.http.v2" would stand beside "aurora.http.v1". A negative code that you do not know is AUR_E_INTERNAL.
 *  - A host of another major version looks for other symbols. A plugin says which minor version it cannot do without.
 */
#ifndef AURORA_PLUGIN_H
#define AURORA_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AUR_ABI_MAJOR 1u
#define AUR_ABI_MINOR 0u

/* Makes a symbol visible outside of the library; build the rest with -fvisibility=hidden. */
#if defined(_WIN32)
#define AUR_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define AUR_EXPORT __attribute__((visibility("default")))
#else
#define AUR_EXPORT
#endif

/* Whether the struct of type T that t points to is there and has the member m. */
#define AUR_HAS(T, t, m) ((t) != NULL && (t)->size >= offsetof(T, m) + sizeof((t)->m))

/* ---- Codes ---- */

/* What functions return: zero and above went well. */
typedef int32_t aur_rc;
enum {
    AUR_OK = 0,
    AUR_PENDING = 1,         /* nothing yet; the waker will fire */
    AUR_EOF = 2,             /* the end of a stream */
    AUR_E_INTERNAL = -1,     /* a fault; so is every negative code that you do not know */
    AUR_E_PANIC = -2,        /* a panic or exception, caught on the other side */
    AUR_E_INVALID = -3,      /* a bad argument */
    AUR_E_STATE = -4,        /* not at this point: a second head, a wait where none is possible */
    AUR_E_CANCELLED = -5,    /* the client has gone, or the request's task has ended: stop */
    AUR_E_TIMEOUT = -6,      /* it took too long */
    AUR_E_UPSTREAM = -7,     /* the upstream failed */
    AUR_E_CONFIG = -8,       /* options that cannot be used */
    AUR_E_NOT_FOUND = -9,    /* it is not there */
    AUR_E_DENIED = -10,      /* the operator has not permitted it */
    AUR_E_EXHAUSTED = -11,   /* nothing is left of what it needs: tokens, places, memory */
    AUR_E_UNSUPPORTED = -12, /* this side does not have it */
    AUR_E_TOO_LARGE = -13,
    AUR_E_CONFLICT = -14     /* somebody else was faster */
};

/* ---- Bytes ---- */

/* Lent bytes, without a NUL at the end. Text is UTF-8. Empty ones may have a NULL pointer. */
typedef struct aur_str {
    const char *ptr;
    size_t len;
} aur_str;

/* Owned bytes. Their holder calls release(owner) once, on any thread. A NULL release: static memory. */
typedef struct aur_buf {
    const char *ptr;
    size_t len;
    void *owner;
    void (*release)(void *owner);
} aur_buf;

/* A header or route parameter. Values of headers are bytes, mostly ASCII. */
typedef struct aur_header {
    aur_str name;
    aur_str value;
} aur_header;

/* Why an instance could not be made. The host makes it, empty. Texts end with NUL and are for the operator. */
typedef struct aur_build_failure {
    uint32_t size;
    aur_rc code;
    char option[128]; /* the option at fault, as in "rules/0/name"; empty: not one alone */
    char text[512];   /* what is wrong */
    char hint[256];   /* how to mend it; empty: nothing to say */
} aur_build_failure;

/* What happened. Decides the status, named here, and the error type of the answer. */
enum {
    AUR_KIND_INVALID_REQUEST = 1,     /* 400 */
    AUR_KIND_UNAUTHENTICATED = 2,     /* 401: only about the client's own credential */
    AUR_KIND_FORBIDDEN = 3,           /* 403 */
    AUR_KIND_NOT_FOUND = 4,           /* 404 */
    AUR_KIND_METHOD_NOT_ALLOWED = 5,  /* 405 */
    AUR_KIND_REQUEST_TIMEOUT = 6,     /* 408: the client was too slow */
    AUR_KIND_TOO_LARGE = 7,           /* 413 */
    AUR_KIND_RATE_LIMITED = 8,        /* 429 */
    AUR_KIND_INTERNAL = 9,            /* 500 */
    AUR_KIND_UNSUPPORTED = 10,        /* 501 */
    AUR_KIND_BAD_GATEWAY = 11,        /* 502: the upstream failed */
    AUR_KIND_UNAVAILABLE = 12,        /* 503 */
    AUR_KIND_GATEWAY_TIMEOUT = 13     /* 504: the upstream was too slow */
};

/* Whose fault it is. */
enum { AUR_ORIGIN_GATEWAY = 0, AUR_ORIGIN_CLIENT = 1, AUR_ORIGIN_UPSTREAM = 2 };

/* In aur_fault.flags: what was sent so far tells the client what went wrong; no error event is added. */
enum { AUR_FAULT_TOLD = 1 };

/* An error in full. Whoever makes the struct sets size, also to have it filled. */
typedef struct aur_fault {
    uint32_t size;
    aur_rc code;     /* the code that goes with it */
    int32_t kind;    /* AUR_KIND_*; 0: as the code says */
    int32_t origin;  /* AUR_ORIGIN_* */
    uint16_t status; /* HTTP status; 0: as the kind says */
    uint16_t flags;  /* AUR_FAULT_* */
    uint32_t reserved;
    uint64_t retry_after_ms; /* when to try again; 0: nothing is said */
    aur_str word;            /* a stable word that programs branch on, as in "upstream_timeout" */
    aur_str message;         /* for the client: what happened and what to do. No secrets, no internal addresses */
    aur_str param;           /* the field of the request that is at fault; empty: none */
    aur_str cause;           /* for the log; empty: none */
} aur_fault;

/* ---- Wakers and tasks ---- */

typedef struct aur_waker_vtable aur_waker_vtable;

/* Whom to poll again. Lent for the call that it is passed to: clone it to keep it. Both members are set. */
typedef struct aur_waker {
    const void *data;
    const aur_waker_vtable *vtable;
} aur_waker;

/* Any thread may call these. They return at once, and those of a waker of your own call nothing of the host, which may
 * hold a lock meanwhile. `wake` and `drop` are only for what clone gave: one of the two, once. */
struct aur_waker_vtable {
    uint32_t size;
    uint32_t reserved;
    aur_waker (*clone)(const void *data);
    void (*wake)(const void *data); /* and drop */
    void (*wake_by_ref)(const void *data);
    void (*drop)(const void *data);
};

/* Work under way. All zero: none. */
typedef struct aur_task {
    void *data;
    /* AUR_PENDING, or a final code, after which it is not called again. */
    aur_rc (*poll)(void *data, const aur_waker *waker);
    /* Called exactly once, after which data is gone. Without a final code before, it means: give up. */
    void (*drop)(void *data);
} aur_task;

/* Known to the host alone ... */
typedef struct aur_req aur_req;           /* a client's request */
typedef struct aur_fetch aur_fetch;       /* an exchange with an upstream */
typedef struct aur_call aur_call;         /* a semantic call */
typedef struct aur_timer aur_timer;       /* a timer */
typedef struct aur_join aur_join;         /* work in the background */
typedef struct aur_state_op aur_state_op; /* an operation on the state */
/* ... and to the plugin alone. */
typedef struct aur_instance aur_instance;

/* ---- Requests ---- */

enum {
    AUR_REQ_HAS_QUERY = 1, /* there is a query, be it empty */
    AUR_REQ_STREAM = 2     /* answers may be streamed; where not, send a whole one even if a stream is asked for */
};

/* What is known of a request. Set size before you have it filled. Texts stay as long as the request is held. */
typedef struct aur_req_info {
    uint32_t size;
    uint32_t flags; /* AUR_REQ_* */
    uint32_t header_count;
    uint32_t param_count;
    aur_str method;
    aur_str path;       /* as sent, with its percent-encoding */
    aur_str query;      /* as sent, without the question mark */
    aur_str route;      /* the path of the route as configured */
    aur_str request_id; /* as in x-request-id */
    aur_str client;     /* the name of the client's key; "anonymous" where none is asked for */
    aur_str owner;      /* a stable word that two clients never share: whose things to keep under which name */
    int64_t body_len;   /* bytes; -1: not known */
    uint64_t max_body;  /* the largest body to be taken as a whole on this route, bytes */
} aur_req_info;

/*
 * A request belongs to its task. Any thread may call these functions while it holds the request: the task until its
 * drop (a blocking handle() until it returns), everybody else between retain and release. Once the task is gone they
 * answer AUR_E_CANCELLED. The credential that the client showed is not among the headers.
 */
typedef struct aur_request_api {
    uint32_t size;
    uint32_t reserved;
    void (*retain)(aur_req *req);
    void (*release)(aur_req *req);

    aur_rc (*info)(aur_req *req, aur_req_info *out);
    /* The first header of that name, upper and lower case being equal; the header at that place. Or AUR_E_NOT_FOUND.
     * Texts stay as long as the request is held. */
    aur_rc (*header)(aur_req *req, aur_str name, aur_str *out);
    aur_rc (*header_at)(aur_req *req, uint32_t place, aur_header *out);
    /* Parameters of the route's path, decoded: {name}, {*rest}. Otherwise as headers. */
    aur_rc (*param)(aur_req *req, aur_str name, aur_str *out);
    aur_rc (*param_at)(aur_req *req, uint32_t place, aur_header *out);

    /* Takes the next piece of the body out of the request, lent until the next call of a body_*. Then AUR_EOF. A
     * negative code of these polls can be returned as it is: the client is told what was wrong with its body. */
    aur_rc (*body_poll)(aur_req *req, const aur_waker *waker, aur_str *out);
    /* The piece that body_poll gave last, to keep; nothing is copied. */
    aur_rc (*body_retain)(aur_req *req, aur_buf *out);
    /* The whole body, or AUR_E_TOO_LARGE beyond max bytes or max_body, which loses nothing of it. It stays in its
     * place, for a second call, for who comes after a filter, for AUR_HTTP_CLIENT_BODY; and it stays as long as the
     * request is held. */
    aur_rc (*body_all_poll)(aur_req *req, const aur_waker *waker, uint64_t max, aur_str *out);

    /* Status (200 and above) and headers of the answer: once, before its body. Copied. How the body is framed is the
     * host's affair: content-length and the like are left out. */
    aur_rc (*resp_head)(aur_req *req, uint16_t status, const aur_header *headers, size_t count);
    /* More of the answer's body, all or nothing. AUR_PENDING: 64 KiB or more wait for the client, nothing was taken,
     * repeat the call. This is how a slow client slows you down; pass it on by reading nothing meanwhile. The first one
     * copies, the second one moves. */
    aur_rc (*resp_write)(aur_req *req, const aur_waker *waker, aur_str data);
    aur_rc (*resp_write_buf)(aur_req *req, const aur_waker *waker, aur_buf *data);
    /* The rest of the answer is the rest of that exchange: the host passes it on without you. On AUR_OK the exchange is
     * moved: do not use or close it any more. Else it is still yours. Not after event_poll, which may have read ahead:
     * AUR_E_STATE. */
    aur_rc (*resp_forward)(aur_req *req, aur_fetch *fetch);
    /* Ready when all that was written is on its way. */
    aur_rc (*flush_poll)(aur_req *req, const aur_waker *waker);

    /* Ready, with AUR_E_CANCELLED, when the client has gone. Of use after keep_running alone, because the task of a
     * client that has gone is dropped. */
    aur_rc (*cancel_poll)(aur_req *req, const aur_waker *waker);
    /* Lets the task live that long without its client, as for accounts that must be settled. What it writes then is
     * lost. */
    aur_rc (*keep_running)(aur_req *req, uint32_t ms);

    /* Says what is wrong; call it just before you return a negative code. See aur_plugin_vtable.handle. Copied. */
    void (*fail)(aur_req *req, const aur_fault *fault);
    /* Adds to what the access log says of the request, as in "input_tokens". */
    aur_rc (*usage)(aur_req *req, aur_str name, int64_t amount);

    /* In a filter, until request_poll has ended: another path, query (a NULL pointer: none) and headers, copied;
     * another body, moved. */
    aur_rc (*set_head)(aur_req *req, aur_str path, aur_str query, const aur_header *headers, size_t count);
    aur_rc (*set_body)(aur_req *req, aur_buf *body);

    /* Writes a line to the log under the request's id. level: AUR_LOG_*. */
    void (*log)(aur_req *req, int32_t level, aur_str text);
} aur_request_api;

/* ---- Host ---- */

enum { AUR_LOG_ERROR = 1, AUR_LOG_WARN = 2, AUR_LOG_INFO = 3, AUR_LOG_DEBUG = 4 };

typedef struct aur_host aur_host;

/*
 * The host as one instance has it. Valid from create to the end of destroy, and beyond for who holds it by retain; then
 * what is asked of it is refused with AUR_E_CANCELLED. Any thread may call its functions and those of its extensions.
 */
struct aur_host {
    uint32_t size;
    uint32_t abi_major; /* of the interface that it serves */
    uint32_t abi_minor;
    uint32_t reserved;
    const aur_request_api *request;
    void (*retain)(const aur_host *host);
    void (*release)(const aur_host *host);
    /* The table of an extension (AUR_EXT_*), or NULL. It is there as long as the host is held: ask once, in create. */
    const void *(*get_extension)(const aur_host *host, const char *id);
    /* Writes a line to the log under the plugin's name. Ask log_enabled first where the text costs something to
     * make. */
    void (*log)(const aur_host *host, int32_t level, aur_str text);
    int32_t (*log_enabled)(const aur_host *host, int32_t level);
    /* A clock that never goes back, ns. */
    uint64_t (*now_ns)(void);
};

/* ---- Upstreams ---- */

/* What an upstream is asked to do. Decides how its event streams end and how an error event looks. */
enum {
    AUR_OP_CHAT = 1,
    AUR_OP_RESPONSES = 2,
    AUR_OP_MODELS = 3,
    AUR_OP_FILES = 4,
    AUR_OP_IMAGES = 5,
    AUR_OP_SPEECH = 6,
    AUR_OP_TRANSCRIBE = 7,
    AUR_OP_AUTH = 8,
    AUR_OP_OTHER = 9 /* complete when the HTTP message is */
};

enum {
    AUR_HTTP_STREAM_BODY = 1,    /* the body comes by body_write; such a request is sent once, and never tried again */
    AUR_HTTP_CLIENT_HEADERS = 2, /* the client's own headers are offered, and `headers` is left out */
    AUR_HTTP_CLIENT_BODY = 4,    /* what is left of the client's own body is sent, and `body` is left out */
    AUR_HTTP_HAS_MODEL = 8       /* `model` is set */
};

/* A request for an upstream. */
typedef struct aur_http_req {
    uint32_t size;
    uint32_t flags;    /* AUR_HTTP_* */
    int32_t operation; /* AUR_OP_* */
    uint32_t reserved;
    aur_str upstream; /* its name; empty: what the route says */
    aur_str method;
    aur_str path;  /* below the upstream's API root, with the query: "chat/completions" */
    aur_str model; /* as the client calls it; the host translates an alias */
    const aur_header *headers; /* to offer: an upstream gets those that it may see, and its credential from the host */
    size_t header_count;
    aur_buf body;     /* moved */
    int64_t body_len; /* with AUR_HTTP_STREAM_BODY, bytes; -1: not known */
} aur_http_req;

/*
 * Raw exchanges, in the upstream's protocol. After a negative code of a *_poll or of body_write there is nothing more to
 * get, and `fault` has the details.
 */
#define AUR_EXT_HTTP "aurora.http.v1"
typedef struct aur_http_api {
    uint32_t size;
    uint32_t reserved;
    /* Begins, and returns at once. With a request and no name in `upstream` it goes to the upstreams of the route:
     * the host picks one, leases a token for it, which you never see, and tries another where nothing is lost by it.
     * Without a request (NULL), or with a name, it goes to that upstream, which the operator must have granted
     * (AUR_E_DENIED). */
    aur_rc (*open)(const aur_host *host, aur_req *req, aur_http_req *http, aur_fetch **out);
    /* More of a streamed body: copied, all or nothing, AUR_PENDING while the upstream is slow. Then its end. */
    aur_rc (*body_write)(aur_fetch *fetch, const aur_waker *waker, aur_str data);
    aur_rc (*body_end)(aur_fetch *fetch);
    /* Ready with the status when the head is there. An upstream's refusal of the request is an answer, too. */
    aur_rc (*head_poll)(aur_fetch *fetch, const aur_waker *waker, uint16_t *status);
    /* After the head, those that may reach the client; as of requests. Lent until the next *_poll. */
    aur_rc (*header)(aur_fetch *fetch, aur_str name, aur_str *out);
    aur_rc (*header_at)(aur_fetch *fetch, uint32_t place, aur_header *out);
    /* The next piece of the body, which may begin and end anywhere; or the next whole event of an event stream, its
     * name and data. Lent until the next call on the exchange. Then AUR_EOF. Use one of the two. */
    aur_rc (*chunk_poll)(aur_fetch *fetch, const aur_waker *waker, aur_str *out);
    aur_rc (*event_poll)(aur_fetch *fetch, const aur_waker *waker, aur_str *name, aur_str *data);
    /* The piece that chunk_poll gave last, to keep; nothing is copied. */
    aur_rc (*chunk_retain)(aur_fetch *fetch, aur_buf *out);
    /* What went wrong. Set size. Texts are lent until the next call on the exchange, so it can go to `fail` as it
     * is. */
    aur_rc (*fault)(aur_fetch *fetch, aur_fault *out);
    /* Ends what still runs. */
    void (*close)(aur_fetch *fetch);
    /* 1 where the route's upstreams speak the client's own API for that AUR_OP_*, so that bytes can be passed on. */
    int32_t (*native)(aur_req *req, int32_t operation);
    /* 1 where the model's name decides something on this route; where not, nobody need look for it in the body. */
    int32_t (*routes_by_model)(aur_req *req);
    /* Bytes of the body that are still to come; -1: not known. */
    int64_t (*body_len)(aur_fetch *fetch);
} aur_http_api;

/* What a semantic call does, and what it answers. */
enum {
    AUR_CALL_CHAT = 1,       /* events: chat chunks */
    AUR_CALL_MODELS = 2,     /* one event: the list of models */
    AUR_CALL_IMAGES = 3,     /* one event: pictures */
    AUR_CALL_SPEECH = 4,     /* bytes: sound */
    AUR_CALL_TRANSCRIBE = 5, /* one event: what is said in `file` */
    AUR_CALL_UPLOAD = 6      /* one event: the file object of `file` */
};

typedef struct aur_call_req {
    uint32_t size;
    uint32_t flags;    /* 0 */
    int32_t operation; /* AUR_CALL_* */
    uint32_t reserved;
    aur_str json;      /* the request as the OpenAI API has it */
    aur_str file_name; /* upstreams tell the type by it */
    aur_str file_type; /* media type */
    aur_buf file;      /* moved */
} aur_call_req;

/* Calls that work on the route's upstreams whatever they speak: JSON of the OpenAI API in and out. Otherwise
 * as aur_http_api. */
#define AUR_EXT_CALL "aurora.call.v1"
typedef struct aur_call_api {
    uint32_t size;
    uint32_t reserved;
    aur_rc (*start)(const aur_host *host, aur_req *req, aur_call_req *call, aur_call **out);
    /* Ready when an upstream has taken it on: from here on nothing is tried again. */
    aur_rc (*accepted_poll)(aur_call *call, const aur_waker *waker);
    /* The next event, lent until the next call on it. Then AUR_EOF. */
    aur_rc (*event_poll)(aur_call *call, const aur_waker *waker, aur_str *json);
    /* Of AUR_CALL_SPEECH, once accepted: the media type, and piece by piece the sound. Then AUR_EOF. */
    aur_rc (*content_type)(aur_call *call, aur_str *out);
    aur_rc (*bytes_poll)(aur_call *call, const aur_waker *waker, aur_str *out);
    aur_rc (*fault)(aur_call *call, aur_fault *out);
    void (*close)(aur_call *call);
} aur_call_api;

/* ---- Time, work, state, metrics ---- */

#define AUR_EXT_TIMER "aurora.timer.v1"
typedef struct aur_timer_api {
    uint32_t size;
    uint32_t reserved;
    aur_rc (*start)(const aur_host *host, uint64_t ms, aur_timer **out);
    aur_rc (*poll)(aur_timer *timer, const aur_waker *waker); /* AUR_OK when it has run off */
    aur_rc (*reset)(aur_timer *timer, uint64_t ms);           /* starts it anew */
    void (*close)(aur_timer *timer);
} aur_timer_api;

#define AUR_EXT_TASK "aurora.task.v1"
typedef struct aur_task_api {
    uint32_t size;
    uint32_t reserved;
    /* Runs a task beside all requests. It is the host's from here on, whatever is returned: dropped when it has
     * ended or cannot be run, and before destroy at the latest. The name is for the log. Here and below `out` may be
     * NULL: then nobody asks for the end. */
    aur_rc (*spawn)(const aur_host *host, aur_str name, aur_task task, aur_join **out);
    /* Runs work(arg), which may block or compute, on a thread for that. It cannot be stopped. */
    aur_rc (*offload)(const aur_host *host, aur_rc (*work)(void *arg), void *arg, aur_join **out);
    /* Ready with the final code of the work when it has ended. */
    aur_rc (*join_poll)(aur_join *join, const aur_waker *waker, aur_rc *result);
    void (*join_close)(aur_join *join); /* stops nothing */
} aur_task_api;

/* Small values with an expiry. They outlive requests, reloads, restarts and versions, and belong to the plugin's
 * name. */
#define AUR_EXT_STATE "aurora.state.v1"
typedef struct aur_state_api {
    uint32_t size;
    uint32_t reserved;
    /* Each of these four begins an operation. Keys (UTF-8, 1024 bytes at the most) and values are copied. ms: how
     * long the value is kept. */
    aur_rc (*get)(const aur_host *host, aur_str key, aur_state_op **out);
    aur_rc (*put)(const aur_host *host, aur_str key, aur_str value, uint64_t ms, aur_state_op **out);
    aur_rc (*del)(const aur_host *host, aur_str key, aur_state_op **out);
    /* Writes if the value there is `expected` (NULL: if there is none), with nobody in between. */
    aur_rc (*swap)(const aur_host *host, aur_str key, const aur_str *expected, aur_str value, uint64_t ms,
                   aur_state_op **out);
    /* How it went. The value of a get is lent until close. Nothing there, for get and del: AUR_E_NOT_FOUND. Another
     * value there, for swap: AUR_E_CONFLICT. */
    aur_rc (*poll)(aur_state_op *op, const aur_waker *waker, aur_str *value);
    void (*close)(aur_state_op *op); /* what was begun may still happen */
} aur_state_api;

enum { AUR_METRIC_COUNTER = 0, AUR_METRIC_GAUGE = 1, AUR_METRIC_HISTOGRAM = 2 };

#define AUR_EXT_METRICS "aurora.metrics.v1"
typedef struct aur_metrics_api {
    uint32_t size;
    uint32_t reserved;
    /* In create. The full name is aurora_plugin_<plugin>_<name>. At most 16 labels. Who defines the same again goes on
     * counting. */
    aur_rc (*define)(const aur_host *host, int32_t type, aur_str name, aur_str help, const aur_str *labels,
                     size_t label_count, uint32_t *id);
    /* Adds to a counter, sets a gauge, counts in a histogram. One value for each label, in the order defined. */
    void (*record)(const aur_host *host, uint32_t id, double value, const aur_str *label_values, size_t label_count);
} aur_metrics_api;

/* ---- Plugin ---- */

/*
 * Flags of a plugin. A host that does not know one of the bits from 16 on refuses the plugin.
 *
 * BLOCKING: handle may block. Each request has a thread for itself then, of which there are a limited number: for Go,
 * and where few requests come at once.
 *
 * UNLOADABLE: nothing of the library outlives destroy, so that an operator may have old versions unmapped: no threads,
 * no destructors of thread-local data, no atexit, and not the runtime of Go or Rust. If in doubt, leave it out.
 */
enum { AUR_PLUGIN_BLOCKING = 1, AUR_PLUGIN_UNLOADABLE = 2 };

/* What create is asked for. */
enum { AUR_AS_HANDLER = 0, AUR_AS_FILTER = 1 };

/* What properties returns. PUBLIC: clients need no key for this handler, which the operator must have asked for. */
enum { AUR_HANDLER_PUBLIC = 1 };

/* What the entry function returns: constant. */
typedef struct aur_plugin_vtable {
    uint32_t size;
    uint32_t flags; /* AUR_PLUGIN_* */
    /* Static JSON: "name" ([a-z][a-z0-9-]*, 63 at the most), "version", and what is not as by default: "about",
     * "kinds" (["handler"]; or "filter"), "methods" ([]: any), "needs_upstream" (true), "options" (a JSON Schema,
     * which the host checks before create), "services" (AUR_EXT_* without which the plugin is refused). */
    aur_str manifest;
    /* Makes an instance of these options, a JSON object. as: AUR_AS_*. No network here. On failure fill *failure and
     * return a negative code: the operator reads it, the config is not taken on, and destroy is not called. */
    aur_rc (*create)(const aur_host *host, int32_t as, aur_str options, aur_instance **out, aur_build_failure *failure);
    /* Begins with a request. Either finish at once, as with an error or an answer without a body: leave *task as it is,
     * zeroed, and return a final code. Or fill *task, return AUR_OK, and its poll has the final code. In blocking mode
     * always the former, after as many calls as you like.
     *
     * AUR_OK as final code: the answer is complete. Without a head it is a 500. A negative code before the head is
     * an error answer, in the words of `fail` if it was called. Its status then is that of the fault; else 500, but
     * 502 for UPSTREAM, 504 for TIMEOUT, 503 with Retry-After for EXHAUSTED, 403 for DENIED, 413 for TOO_LARGE, 404
     * for NOT_FOUND, 501 for UNSUPPORTED. After the head the answer breaks off so that the client notices; an event
     * stream gets an error event first. */
    aur_rc (*handle)(aur_instance *instance, aur_req *req, aur_task *task);
    /* May be NULL: end work in the background, no new requests come. Those under way go on. */
    void (*drain)(aur_instance *instance);
    /* Free everything. No function gets this instance again. */
    void (*destroy)(aur_instance *instance);
    /* May be NULL. A facet (AUR_FACET_*), which is static, or NULL. */
    const void *(*get_extension)(aur_instance *instance, const char *id);
    /* May be NULL. AUR_HANDLER_*. */
    uint32_t (*properties)(aur_instance *instance);
} aur_plugin_vtable;

/* A test of itself, before an instance serves. */
#define AUR_FACET_PROBE "aurora.probe.v1"
typedef struct aur_probe {
    uint32_t size;
    uint32_t reserved;
    /* Fills *task, which has 10 s, or leaves it zeroed. A negative code, here or of the task, refuses the version.
     * *failure is there until the task is dropped. */
    aur_rc (*start)(aur_instance *instance, aur_task *task, aur_build_failure *failure);
} aur_probe;

/* ---- Filters ---- */

/* How closely a filter follows answers. What is not followed costs nothing. */
enum {
    AUR_FOLLOWS_NOTHING = 0,
    AUR_FOLLOWS_HEAD = 1,   /* head and end */
    AUR_FOLLOWS_CHUNKS = 2, /* and the body in pieces, which begin and end anywhere */
    AUR_FOLLOWS_EVENTS = 3  /* and each event, or the JSON of a whole answer as one; other bodies pass by */
};

typedef struct aur_pass_vtable aur_pass_vtable;

/* One request on its way through a filter, and its answer on the way back. */
typedef struct aur_pass {
    void *data;
    const aur_pass_vtable *vtable;
} aur_pass;

/* Where a pass puts what goes on to the client. There for the call that it is passed to. Everything is copied. */
typedef struct aur_emit {
    uint32_t size;
    uint32_t reserved;
    void *out; /* first argument of all these */
    aur_rc (*chunk)(void *out, aur_str data);
    aur_rc (*event)(void *out, aur_str name, aur_str json);
    aur_rc (*status)(void *out, uint16_t status);                    /* in head: another one */
    /* In head: this value in place of all that the header has; NULL: without it. Then one more value. */
    aur_rc (*header)(void *out, aur_str name, const aur_str *value);
    aur_rc (*header_add)(void *out, aur_str name, aur_str value);
} aur_emit;

/*
 * Called one at a time, and none of them may block. A NULL member: all goes on as it is. A negative code ends the
 * answer, before its head as an error answer, after it as an error event; `fail` of the request has the words here,
 * too.
 */
struct aur_pass_vtable {
    uint32_t size;
    uint32_t reserved;
    /* Looks at the request before the handler does, and polls as a task does. An answer that it has begun by its AUR_OK
     * (resp_head) is the answer: no handler is asked, and this pass sees no more of it. */
    aur_rc (*request_poll)(void *data, const aur_waker *waker);
    /* The head of the answer. It goes on with what is changed through emit. */
    aur_rc (*head)(void *data, uint16_t status, const aur_header *headers, size_t count, const aur_emit *emit);
    /* A piece of the body. What is emitted goes on in its place; nothing, if nothing is. */
    aur_rc (*chunk)(void *data, aur_str piece, const aur_emit *emit);
    /* An event: name (empty for chat chunks), JSON, and 1 where it is the whole answer. Otherwise as chunk. */
    aur_rc (*event)(void *data, aur_str name, aur_str json, int32_t is_whole, const aur_emit *emit);
    /* The body is over: the last chance to emit. */
    aur_rc (*last)(void *data, const aur_emit *emit);
    /* The answer has ended, or the client has gone: status, 1 where all of it went out, tokens (-1: not known). */
    void (*end)(void *data, uint16_t status, int32_t is_complete, int64_t input_tokens, int64_t output_tokens);
    /* Exactly once, after which data is gone. */
    void (*drop)(void *data);
};

#define AUR_FACET_FILTER "aurora.filter.v1"
typedef struct aur_filter {
    uint32_t size;
    uint32_t reserved;
    uint32_t (*follows)(aur_instance *instance); /* AUR_FOLLOWS_* */
    /* Begins with a request, which is held until the pass is dropped. Fills *pass. A negative code refuses the
     * request. */
    aur_rc (*begin)(aur_instance *instance, aur_req *req, aur_pass *pass);
} aur_filter;

/* ---- The two symbols ---- */

#define AUR_NOTE_SIZE 32

/* Constant data without pointers, read out of the file before the library is mapped. */
typedef struct aur_abi_note {
    uint8_t magic[8]; /* "AURPLUG1" */
    uint32_t note_size;
    uint32_t abi_major; /* of the header that the plugin was compiled with */
    uint32_t abi_minor;
    uint32_t min_host_minor; /* older hosts refuse the plugin */
    uint8_t pointer_bits;
    uint8_t little_endian;
    uint16_t flags;    /* 0 */
    uint32_t reserved; /* 0 */
} aur_abi_note;

extern AUR_EXPORT const aur_abi_note aurora_abi_note_v1;
AUR_EXPORT const aur_plugin_vtable *aurora_plugin_entry_v1(void);

/* ---- For authors ---- */

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define AUR_IS_LITTLE_ENDIAN 0
#else
#define AUR_IS_LITTLE_ENDIAN 1
#endif

/* Defines both symbols; in one file, outside of all functions. min_minor: the lowest AUR_ABI_MINOR that will do. */
#define AUR_DEFINE_PLUGIN(vtable_ptr, min_minor)                                                                       \
    const aur_abi_note aurora_abi_note_v1 = {{'A', 'U', 'R', 'P', 'L', 'U', 'G', '1'},                                 \
                                             AUR_NOTE_SIZE,                                                            \
                                             AUR_ABI_MAJOR,                                                            \
                                             AUR_ABI_MINOR,                                                            \
                                             (min_minor),                                                              \
                                             (uint8_t)(sizeof(void *) * 8),                                            \
                                             AUR_IS_LITTLE_ENDIAN,                                                     \
                                             0,                                                                        \
                                             0};                                                                       \
    const aur_plugin_vtable *aurora_plugin_entry_v1(void) { return (vtable_ptr); }

/* A string literal as aur_str: as a value, and to initialise static data. */
#ifdef __cplusplus
#define AUR_S(literal) (aur_str{"" literal, sizeof(literal) - 1})
#else
#define AUR_S(literal) ((aur_str){"" literal, sizeof(literal) - 1})
#endif
#define AUR_S_INIT(literal) {"" literal, sizeof(literal) - 1}

/* Goes on if a call was AUR_OK, and returns its code otherwise: AUR_PENDING, AUR_EOF, an error. */
#define AUR_TRY(call)                                                                                                  \
    do {                                                                                                               \
        const aur_rc aur_try_rc = (call);                                                                              \
        if (aur_try_rc != AUR_OK) return aur_try_rc;                                                                   \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
