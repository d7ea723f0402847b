//! hello-zig: a small plugin in Zig. GET says hello.
const std = @import("std");
const aur = @import("aurora"); // made of aurora_plugin.h: see the Makefile

const allocator = std.heap.c_allocator;

const manifest =
    \\{"name": "hello-zig", "version": "1.0.0", "about": "says hello, in Zig", "methods": ["GET"],
    \\ "needs_upstream": false, "options": {"type": "object",
    \\ "properties": {"greeting": {"type": "string"}}, "additionalProperties": false}}
;

/// What the options of one route make. Many requests read it at once.
const Instance = struct {
    request: *const aur.aur_request_api,
    options: std.json.Parsed(Options),
};

const Options = struct { greeting: []const u8 = "hello" };

/// One request.
const Work = struct {
    instance: *const Instance,
    req: *aur.aur_req,
};

fn str(text: []const u8) aur.aur_str {
    return .{ .ptr = text.ptr, .len = text.len };
}

fn slice(text: aur.aur_str) []const u8 {
    return if (text.len == 0) "" else text.ptr[0..text.len];
}

fn refuse(failure: *aur.aur_build_failure, words: []const u8) aur.aur_rc {
    const room = @min(words.len, failure.text.len - 1);
    @memcpy(failure.text[0..room], words[0..room]);
    failure.text[room] = 0;
    return aur.AUR_E_CONFIG;
}

fn create(
    host: [*c]const aur.aur_host,
    as: i32,
    options: aur.aur_str,
    out: [*c]?*aur.aur_instance,
    failure: [*c]aur.aur_build_failure,
) callconv(.c) aur.aur_rc {
    if (as != aur.AUR_AS_HANDLER) return aur.AUR_E_UNSUPPORTED;
    // Copies: `options` is lent for this call.
    const parsed = std.json.parseFromSlice(Options, allocator, slice(options), .{ .allocate = .alloc_always }) catch |err| {
        return refuse(failure, @errorName(err));
    };
    const instance = allocator.create(Instance) catch {
        parsed.deinit();
        return aur.AUR_E_EXHAUSTED;
    };
    instance.* = .{ .request = host.*.request, .options = parsed };
    out.* = @ptrCast(instance);
    return aur.AUR_OK;
}

fn destroy(opaque_instance: ?*aur.aur_instance) callconv(.c) void {
    const instance: *Instance = @ptrCast(@alignCast(opaque_instance.?));
    instance.options.deinit();
    allocator.destroy(instance);
}

fn handle(opaque_instance: ?*aur.aur_instance, req: ?*aur.aur_req, task: [*c]aur.aur_task) callconv(.c) aur.aur_rc {
    const work = allocator.create(Work) catch return aur.AUR_E_EXHAUSTED;
    work.* = .{ .instance = @ptrCast(@alignCast(opaque_instance.?)), .req = req.? };
    task.* = .{ .data = work, .poll = poll, .drop = drop };
    return aur.AUR_OK;
}

fn poll(data: ?*anyopaque, waker: [*c]const aur.aur_waker) callconv(.c) aur.aur_rc {
    const work: *const Work = @ptrCast(@alignCast(data.?));
    return sayHello(work, waker) catch aur.AUR_E_EXHAUSTED;
}

fn drop(data: ?*anyopaque) callconv(.c) void {
    const work: *Work = @ptrCast(@alignCast(data.?));
    allocator.destroy(work);
}

fn sayHello(work: *const Work, waker: [*c]const aur.aur_waker) !aur.aur_rc {
    const request = work.instance.request;
    var info: aur.aur_req_info = .{ .size = @sizeOf(aur.aur_req_info) };
    var rc = request.info.?(work.req, &info);
    if (rc != aur.AUR_OK) return rc;

    const greeting = work.instance.options.value.greeting;
    const message = try std.fmt.allocPrint(allocator, "{s}, {s}", .{ greeting, slice(info.client) });
    defer allocator.free(message);
    const body = try std.json.Stringify.valueAlloc(allocator, .{ .message = message }, .{});
    defer allocator.free(body);

    const header: aur.aur_header = .{ .name = str("content-type"), .value = str("application/json") };
    rc = request.resp_head.?(work.req, 200, &header, 1);
    if (rc != aur.AUR_OK) return rc;
    // Copied. Nothing else waits for this client, so it is never AUR_PENDING.
    return request.resp_write.?(work.req, waker, str(body));
}

const vtable: aur.aur_plugin_vtable = .{
    .size = @sizeOf(aur.aur_plugin_vtable),
    .manifest = .{ .ptr = manifest, .len = manifest.len },
    .create = create,
    .handle = handle,
    .destroy = destroy,
};

/// What AUR_DEFINE_PLUGIN defines in C.
export const aurora_abi_note_v1: aur.aur_abi_note = .{
    .magic = "AURPLUG1".*,
    .note_size = aur.AUR_NOTE_SIZE,
    .abi_major = aur.AUR_ABI_MAJOR,
    .abi_minor = aur.AUR_ABI_MINOR,
    .min_host_minor = 0,
    .pointer_bits = @bitSizeOf(usize),
    .little_endian = @intFromBool(@import("builtin").cpu.arch.endian() == .little),
};

export fn aurora_plugin_entry_v1() *const aur.aur_plugin_vtable {
    return &vtable;
}
