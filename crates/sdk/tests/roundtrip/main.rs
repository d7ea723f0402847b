//! The plugin interface from end to end: a plugin becomes a C table, and the table a plugin again. No library is loaded, so
//! that checkers of memory and of undefined behaviour see both sides.
#![expect(unsafe_code, reason = "some of the plugins here speak C")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failed expectation is a failed test"
)]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::cast_possible_truncation,
    reason = "what plugins in C do is one thing after the other; sizes of structs are small"
)]

mod answers;
mod background;
mod blocking;
mod bodies;
mod c;
mod calls;
mod filters;
mod ground;
mod loading;
mod misuse;
mod panics;
mod parts;
mod told;
mod upstreams;
mod wakers;
