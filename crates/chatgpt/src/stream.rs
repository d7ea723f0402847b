//! A turn's event stream, from bytes to events.
//!
//! [`Turn`] reads snapshots and patches alike: what arrives decides, never what was asked for.

mod chunk;
mod document;
mod event;
mod frames;
mod growth;
mod message;
mod picture;
mod pointer;
mod saved;
mod turn;
mod typed;

pub use chunk::to_chunk;
pub use event::{
    BlockedFeature, Event, FeatureProgress, FinishReason, Handoff, ImageTask, Limits, ModelLimit,
    StreamError, ToolFault,
};
pub use frames::{Frame, Frames, MAX_EVENT_BYTES, Payload};
pub use picture::Picture;
pub use saved::Saved;
pub use turn::{Continuation, MAX_TURN_BYTES, Turn, TurnOptions};
