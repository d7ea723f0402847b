//! The ChatGPT web protocol as data: no I/O, no clock, no randomness but what is passed in.
//!
//! The service is undocumented and changes without notice, so reading is lenient (unknown fields, events, content types
//! and roles are skipped) and writing is small. A browser challenge is recognised and reported, never answered.

pub mod citations;
pub mod credential;
pub mod fault;
pub mod image;
pub mod login;
pub mod model;
pub mod request;
pub mod socket;
pub mod stop;
pub mod stream;
pub mod tools;
pub mod upload;
pub mod voice;
