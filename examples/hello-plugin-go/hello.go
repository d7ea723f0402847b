// hello-go: a plugin in Go, in blocking mode: a request has a thread of its own, and calls that may wait do so.
//
// GET says hello. POST asks the route's upstream for a chat answer and passes it on piece by piece.
package main

// #cgo CFLAGS: -std=c99 -I${SRCDIR}/../../include -fvisibility=hidden
// #include <stdlib.h>
// #include "plugin.h"
import "C"

import (
	"encoding/json"
	"fmt"
	"runtime/cgo"
	"unsafe"
)

// handler is what the options of one route make. Many requests read it at once.
type handler struct {
	Greeting string `json:"greeting"`
}

// failure is a negative code of the host.
type failure C.aur_rc

func (f failure) Error() string { return fmt.Sprintf("the host said %d", int32(f)) }

func check(rc C.aur_rc) error {
	if rc == C.AUR_OK {
		return nil
	}
	return failure(rc)
}

// code is what the host is told in the end.
func code(err error) C.aur_rc {
	if err == nil {
		return C.AUR_OK
	}
	if f, ok := err.(failure); ok {
		return C.aur_rc(f)
	}
	return C.AUR_E_INTERNAL
}

// guard ends a panic here: one that leaves Go would end the server.
func guard(rc *C.aur_rc) {
	if recover() != nil {
		*rc = C.AUR_E_PANIC
	}
}

func text(s C.aur_str) string { return C.GoStringN(s.ptr, C.int(s.len)) }

//export helloCreate
func helloCreate(host C.host_ptr, as C.int32_t, options C.aur_str, out **C.aur_instance, refused *C.aur_build_failure) (rc C.aur_rc) {
	defer guard(&rc)
	if as != C.AUR_AS_HANDLER {
		return C.AUR_E_UNSUPPORTED
	}
	made := &handler{Greeting: "hello"}
	if err := json.Unmarshal([]byte(text(options)), made); err != nil {
		words := C.CString(err.Error())
		defer C.free(unsafe.Pointer(words))
		return C.hello_refuse(refused, words)
	}
	instance := (*C.aur_instance)(C.calloc(1, C.sizeof_aur_instance))
	instance.host = host
	instance.http = C.hello_http(host)
	instance.handler = C.uintptr_t(cgo.NewHandle(made))
	*out = instance
	return C.AUR_OK
}

//export helloHandle
func helloHandle(instance *C.aur_instance, req *C.aur_req, _ *C.aur_task) (rc C.aur_rc) {
	defer guard(&rc)
	var info C.aur_req_info
	if rc := C.hello_info(instance.host, req, &info); rc != C.AUR_OK {
		return rc
	}
	if text(info.method) == "POST" {
		return code(passOn(instance, req))
	}
	h := cgo.Handle(instance.handler).Value().(*handler)
	return code(h.sayHello(instance, req, text(info.client)))
}

//export helloDestroy
func helloDestroy(instance *C.aur_instance) {
	cgo.Handle(instance.handler).Delete()
	C.free(unsafe.Pointer(instance))
}

func (h *handler) sayHello(instance *C.aur_instance, req *C.aur_req, client string) error {
	body, err := json.Marshal(map[string]string{"message": h.Greeting + ", " + client})
	if err != nil {
		return err
	}
	if err := head(instance, req, 200, "application/json"); err != nil {
		return err
	}
	return check(C.hello_write(instance.host, req, unsafe.Pointer(&body[0]), C.size_t(len(body))))
}

func head(instance *C.aur_instance, req *C.aur_req, status C.uint16_t, contentType string) error {
	name, value := C.CString("content-type"), C.CString(contentType)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(value))
	return check(C.hello_head(instance.host, req, status,
		C.aur_str{ptr: name, len: C.strlen(name)}, C.aur_str{ptr: value, len: C.strlen(value)}))
}

// passOn crosses from Go to C three times for each piece. Who does not look at the pieces calls resp_forward once instead.
func passOn(instance *C.aur_instance, req *C.aur_req) error {
	var fetch *C.aur_fetch
	if err := check(C.hello_open(instance, req, &fetch)); err != nil {
		return err
	}
	// Also where the client leaves: the calls below then end with AUR_E_CANCELLED.
	defer C.hello_close(instance, fetch)

	var status C.uint16_t
	var contentType C.aur_str
	if err := check(C.hello_fetch_head(instance, fetch, &status, &contentType)); err != nil {
		C.hello_fail(instance, req, fetch)
		return err
	}
	if err := head(instance, req, status, text(contentType)); err != nil {
		return err
	}
	for {
		var piece C.aur_str
		switch rc := C.hello_fetch_chunk(instance, fetch, &piece); {
		case rc == C.AUR_EOF:
			return nil
		case rc != C.AUR_OK:
			C.hello_fail(instance, req, fetch)
			return failure(rc)
		}
		// piece is the host's memory, lent until the next call on fetch. Waits while the client is slow.
		if err := check(C.hello_write(instance.host, req, unsafe.Pointer(piece.ptr), piece.len)); err != nil {
			return err
		}
	}
}

func main() {}
