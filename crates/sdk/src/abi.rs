//! The plugin interface (ABI 1.0): how a library of any language and this process call each other.
//!
//! Inside the process everything is `dyn Plugin` and `dyn Handler`; this is an adapter at the edge. [`export`] makes a C table of
//! a plugin (what [`crate::export_plugin`] does), `import` (feature `host`) makes a plugin of a C table. Neither side frees the
//! other's memory, lets a panic through, or trusts a pointer longer than the contract in `include/aurora_plugin.h` says.

#![expect(unsafe_code, reason = "one of the two places: it speaks C")]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "what one line of the contract allows stands in one block"
)]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "what is opaque to one side has its own type, and alignment, on the other"
)]

pub mod export;
mod fault;
#[cfg(feature = "host")]
pub mod import;
mod memory;
mod numbers;
pub mod raw;
mod waker;
