/* The functions of the host by name, as cgo can call them. Wakers are NULL: in blocking mode that means "wait". */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stdio.h>
#include <string.h>

#include "aurora_plugin.h"

/* Exported functions of Go have no `const` but by such a name. */
typedef const aur_host *host_ptr;

/* C must not keep pointers to what Go has: `handler` is a number that Go knows it by. */
struct aur_instance {
    host_ptr host;
    const aur_http_api *http;
    uintptr_t handler;
};

static inline aur_rc hello_refuse(aur_build_failure *failure, const char *text) {
    snprintf(failure->text, sizeof failure->text, "%s", text);
    return failure->code = AUR_E_CONFIG;
}

static inline aur_rc hello_info(host_ptr host, aur_req *req, aur_req_info *out) {
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    return host->request->info(req, out);
}

static inline const aur_http_api *hello_http(host_ptr host) { return host->get_extension(host, AUR_EXT_HTTP); }

/* One header is all that it takes here. */
static inline aur_rc hello_head(host_ptr host, aur_req *req, uint16_t status, aur_str name, aur_str value) {
    const aur_header header = {name, value};
    return host->request->resp_head(req, status, &header, 1);
}

static inline aur_rc hello_write(host_ptr host, aur_req *req, const void *data, size_t len) {
    const aur_str text = {data, len};
    return host->request->resp_write(req, NULL, text);
}

/* The client's own headers and body, as a chat request to the route's upstreams. */
static inline aur_rc hello_open(aur_instance *instance, aur_req *req, aur_fetch **out) {
    aur_http_req http = {
        .size = sizeof http,
        .flags = AUR_HTTP_CLIENT_HEADERS | AUR_HTTP_CLIENT_BODY,
        .operation = AUR_OP_CHAT,
        .method = AUR_S("POST"),
        .path = AUR_S("chat/completions"),
    };
    return instance->http->open(instance->host, req, &http, out);
}

static inline aur_rc hello_fetch_head(aur_instance *instance, aur_fetch *fetch, uint16_t *status,
                                      aur_str *content_type) {
    AUR_TRY(instance->http->head_poll(fetch, NULL, status));
    const aur_rc rc = instance->http->header(fetch, AUR_S("content-type"), content_type);
    return rc == AUR_E_NOT_FOUND ? AUR_OK : rc;
}

static inline aur_rc hello_fetch_chunk(aur_instance *instance, aur_fetch *fetch, aur_str *out) {
    return instance->http->chunk_poll(fetch, NULL, out);
}

/* Hands on in full what went wrong with the exchange. */
static inline void hello_fail(aur_instance *instance, aur_req *req, aur_fetch *fetch) {
    aur_fault fault = {.size = sizeof fault};
    if (instance->http->fault(fetch, &fault) == AUR_OK) instance->host->request->fail(req, &fault);
}

static inline void hello_close(aur_instance *instance, aur_fetch *fetch) { instance->http->close(fetch); }

#endif
