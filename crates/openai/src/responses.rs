//! The Responses API in terms of a chat turn.
//!
//! [`CreateResponse`] is what a client asks for, [`Turn`] the chat request that asks the same, [`Answer`] makes the
//! Responses events and the final [`Response`] of the chat chunks that come back. Pure: identifiers and times are
//! passed in, stored responses too.

mod answer;
mod conversation;
mod create;
mod event;
mod id;
mod item;
mod object;
mod output;
mod page;
mod part;
mod refusal;
mod tools;
mod turn;

pub use answer::Answer;
pub use create::{CreateResponse, Reasoning, Text};
pub use event::Event;
pub use id::{Ids, response_of};
pub use item::reference;
pub use object::{Failure, Incomplete, InputTokens, OutputTokens, Response, Status, Usage};
pub use output::{OutputItem, Part};
pub use page::{ItemList, Order, Page};
pub use refusal::Refusal;
pub use turn::Turn;
