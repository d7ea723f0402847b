/*
 * hello-c: a whole plugin in C.
 *
 * GET says hello. POST asks the route's upstream for a chat answer and passes it on piece by piece. The comments of
 * aurora_plugin.h say what may be done when; this file shows it done.
 */
#include "aurora_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Headers of an upstream's answer that are passed on at the most. */
#define MAX_HEADERS 64

static const char MANIFEST[] =
    "{\"name\": \"hello-c\", \"version\": \"1.0.0\", \"about\": \"says hello, in C\","
    " \"methods\": [\"GET\", \"POST\"], \"needs_upstream\": false, \"services\": [\"" AUR_EXT_HTTP "\"],"
    " \"options\": {\"type\": \"object\", \"properties\": {\"greeting\": {\"type\": \"string\"}},"
    " \"additionalProperties\": false}}";

/* One use of the plugin in a route. Many requests read it at once; nothing writes to it after create. */
struct aur_instance {
    const aur_host *host;
    const aur_request_api *request;
    const aur_http_api *http;
    aur_str greeting; /* as it stands in JSON, escapes and all; on the heap */
};

/* One request. poll and drop are never called at once, so nothing of it is guarded. */
typedef struct work {
    const aur_instance *instance;
    aur_req *req;     /* held by the host until drop */
    aur_fetch *fetch; /* NULL: a GET */
    int has_head;     /* the head has been passed on */
    aur_str piece;    /* has been read and is still to be written; lent until the next call on fetch */
} work;

/* ---- JSON ---- */

/*
 * The string that belongs to key (given with its quotes) in a JSON object, without its quotes and with its escapes; a
 * NULL pointer where there is none. This is no parser: it is enough for options that the schema above has let through,
 * which are {} or {"greeting": "..."}. With more options, use a JSON library.
 */
static aur_str string_of(aur_str json, aur_str key) {
    const aur_str none = {NULL, 0};
    const char *end = json.ptr + json.len;
    const char *at = json.ptr;
    while ((size_t)(end - at) > key.len && memcmp(at, key.ptr, key.len) != 0) at++;
    if ((size_t)(end - at) <= key.len) return none;
    at += key.len;
    while (at < end && strchr(" \t\r\n:", *at) != NULL) at++;
    if (at == end || *at != '"') return none;

    const char *begin = ++at;
    while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
    if (at >= end) return none;
    const aur_str found = {begin, (size_t)(at - begin)};
    return found;
}

/* Writes text as the inside of a JSON string, six bytes for one at the most; returns where it ends. */
static char *escape(char *to, aur_str text) {
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < 0x20) {
            to += sprintf(to, "\\u%04x", byte);
        } else {
            if (byte == '"' || byte == '\\') *to++ = '\\';
            *to++ = (char)byte;
        }
    }
    return to;
}

/* ---- GET ---- */

static aur_rc say_hello(const work *w, const aur_waker *waker) {
    const aur_request_api *request = w->instance->request;
    const aur_str greeting = w->instance->greeting;
    aur_req_info info = {.size = sizeof info};
    AUR_TRY(request->info(w->req, &info));

    const aur_header headers[] = {{AUR_S_INIT("content-type"), AUR_S_INIT("application/json")}};
    AUR_TRY(request->resp_head(w->req, 200, headers, 1));

    const char begin[] = "{\"message\":\"", comma[] = ", ", end[] = "\"}";
    char *text = malloc(sizeof begin + greeting.len + sizeof comma + 6 * info.client.len + sizeof end);
    if (text == NULL) return AUR_E_EXHAUSTED;
    char *to = text;
    memcpy(to, begin, sizeof begin - 1), to += sizeof begin - 1;
    memcpy(to, greeting.ptr, greeting.len), to += greeting.len;
    memcpy(to, comma, sizeof comma - 1), to += sizeof comma - 1;
    to = escape(to, info.client);
    memcpy(to, end, sizeof end - 1), to += sizeof end - 1;

    /* The buffer is moved and not copied: the host frees it by our own `free`. */
    aur_buf body = {text, (size_t)(to - text), text, free};
    const aur_rc rc = request->resp_write_buf(w->req, waker, &body);
    if (rc == AUR_OK) return AUR_OK;
    /* It is still ours. AUR_PENDING cannot be: nothing else waits for this client. */
    free(text);
    return rc == AUR_PENDING ? AUR_E_INTERNAL : rc;
}

/* ---- POST ---- */

/* Begins with the exchange: the client's own headers and body, as a chat request. The host chooses an upstream of
 * the route and adds its token. */
static aur_rc ask(const aur_instance *instance, aur_req *req, aur_fetch **fetch) {
    aur_http_req http = {
        .size = sizeof http,
        .flags = AUR_HTTP_CLIENT_HEADERS | AUR_HTTP_CLIENT_BODY,
        .operation = AUR_OP_CHAT,
        .method = AUR_S("POST"),
        .path = AUR_S("chat/completions"),
    };
    return instance->http->open(instance->host, req, &http, fetch);
}

/* Hands on in full what went wrong with the exchange; rc alone would leave the client with a general text. */
static aur_rc failed(const work *w, aur_rc rc) {
    aur_fault fault = {.size = sizeof fault};
    if (rc != AUR_E_CANCELLED && w->instance->http->fault(w->fetch, &fault) == AUR_OK) {
        w->instance->request->fail(w->req, &fault);
    }
    return rc;
}

static aur_rc pass_on_head(const work *w, uint16_t status) {
    aur_header headers[MAX_HEADERS];
    uint32_t count = 0;
    while (count < MAX_HEADERS && w->instance->http->header_at(w->fetch, count, &headers[count]) == AUR_OK) count++;
    return w->instance->request->resp_head(w->req, status, headers, count);
}

/*
 * As far as it goes now. Each call that may wait gets the waker, and says AUR_PENDING where it has to; then everything
 * that is needed to go on is in w.
 *
 * All after the head could be one call: request->resp_forward(w->req, w->fetch), and w->fetch = NULL. The loop is the
 * way for who wants to look at the pieces.
 */
static aur_rc pass_on(work *w, const aur_waker *waker) {
    const aur_http_api *http = w->instance->http;
    if (!w->has_head) {
        uint16_t status = 0;
        const aur_rc rc = http->head_poll(w->fetch, waker, &status);
        if (rc < 0) return failed(w, rc);
        AUR_TRY(rc);
        AUR_TRY(pass_on_head(w, status));
        w->has_head = 1;
    }
    for (;;) {
        if (w->piece.len == 0) {
            const aur_rc rc = http->chunk_poll(w->fetch, waker, &w->piece);
            if (rc == AUR_EOF) return AUR_OK;
            if (rc < 0) return failed(w, rc);
            AUR_TRY(rc);
        }
        /* AUR_PENDING here is a client that reads slowly. Nothing more is read until it is ready: so the upstream is
         * slowed down, too, and memory does not grow. */
        AUR_TRY(w->instance->request->resp_write(w->req, waker, w->piece));
        w->piece.len = 0;
    }
}

/* ---- Task ---- */

static aur_rc poll(void *data, const aur_waker *waker) {
    work *w = data;
    return w->fetch == NULL ? say_hello(w, waker) : pass_on(w, waker);
}

/* After the end, and in the middle of things when the client leaves: closing the exchange stops the upstream. */
static void drop(void *data) {
    work *w = data;
    if (w->fetch != NULL) w->instance->http->close(w->fetch);
    free(w);
}

static aur_rc handle(aur_instance *instance, aur_req *req, aur_task *task) {
    aur_req_info info = {.size = sizeof info};
    AUR_TRY(instance->request->info(req, &info));
    work *w = calloc(1, sizeof *w);
    if (w == NULL) return AUR_E_EXHAUSTED;
    w->instance = instance;
    w->req = req;
    if (info.method.len == 4 && memcmp(info.method.ptr, "POST", 4) == 0) {
        const aur_rc rc = ask(instance, req, &w->fetch);
        if (rc != AUR_OK) {
            free(w);
            return rc;
        }
    }
    task->data = w;
    task->poll = poll;
    task->drop = drop;
    return AUR_OK;
}

/* ---- Instance ---- */

static aur_rc refuse(aur_build_failure *failure, aur_rc code, const char *text) {
    failure->code = code;
    snprintf(failure->text, sizeof failure->text, "%s", text);
    return code;
}

static void destroy(aur_instance *instance) {
    free((char *)instance->greeting.ptr);
    free(instance);
}

static aur_rc create(const aur_host *host, int32_t as, aur_str options, aur_instance **out,
                     aur_build_failure *failure) {
    if (as != AUR_AS_HANDLER) return refuse(failure, AUR_E_UNSUPPORTED, "it is no filter");
    aur_str greeting = string_of(options, AUR_S("\"greeting\""));
    if (greeting.ptr == NULL) greeting = AUR_S("hello");

    aur_instance *instance = calloc(1, sizeof *instance);
    char *copy = malloc(greeting.len + 1);
    if (instance == NULL || copy == NULL) {
        free(copy);
        free(instance);
        return refuse(failure, AUR_E_EXHAUSTED, "out of memory");
    }
    /* `options` is lent for this call. */
    memcpy(copy, greeting.ptr, greeting.len);
    instance->greeting = (aur_str){copy, greeting.len};
    instance->host = host;
    instance->request = host->request;
    /* Never NULL: the manifest names it among the services. */
    instance->http = host->get_extension(host, AUR_EXT_HTTP);
    *out = instance;
    return AUR_OK;
}

static const aur_plugin_vtable VTABLE = {
    .size = sizeof VTABLE,
    .manifest = {MANIFEST, sizeof MANIFEST - 1},
    .create = create,
    .handle = handle,
    .destroy = destroy,
};

AUR_DEFINE_PLUGIN(&VTABLE, 0)
