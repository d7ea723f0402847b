/* The C half: cgo can neither export a constant nor call a pointer to a function. */
#include "plugin.h"

#include "_cgo_export.h"

static const char MANIFEST[] =
    "{\"name\": \"hello-go\", \"version\": \"1.0.0\", \"about\": \"says hello, in Go\","
    " \"methods\": [\"GET\", \"POST\"], \"needs_upstream\": false, \"services\": [\"" AUR_EXT_HTTP "\"],"
    " \"options\": {\"type\": \"object\", \"properties\": {\"greeting\": {\"type\": \"string\"}},"
    " \"additionalProperties\": false}}";

static const aur_plugin_vtable VTABLE = {
    .size = sizeof VTABLE,
    .flags = AUR_PLUGIN_BLOCKING,
    .manifest = {MANIFEST, sizeof MANIFEST - 1},
    .create = helloCreate,
    .handle = helloHandle,
    .destroy = helloDestroy,
};

AUR_DEFINE_PLUGIN(&VTABLE, 0)
