//! Requests to the service: chat conversations in its form, and the small bodies around them.
//!
//! Ids and times are passed in. Pictures and files are named by [`Reference`]s first; whoever uploads them puts
//! [`Attachment`]s in their place.

mod attachment;
mod body;
mod content;
mod draft;
mod lines;

pub use attachment::Attachment;
pub use body::{Form, PrepareState, Settings, continuation, conversation, init, prepare};
pub use content::{Invalid, Reference};
pub use draft::{Draft, Role, ToolResults, Turn, drafts};
