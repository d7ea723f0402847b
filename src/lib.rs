//! Aurora.
