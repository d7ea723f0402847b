//! The public side: listeners, the way of one request, and the one door to salvo.

mod access;
mod allowance;
mod connection;
mod cors;
mod filters;
mod gateway;
mod host;
mod lasting;
mod listeners;
mod outgoing;
mod paths;
mod render;
mod request_body;
mod request_id;
mod run;
pub(crate) mod tls;
mod visitor;

pub(crate) use gateway::Gateway;
pub(crate) use listeners::{Bound, Listeners, Serve};
