//! ChatGPT accounts: which one serves a request, and how its token stays valid.
//!
//! An *account* is a person in a workspace. Its tokens stand in files, one a line; a *source* is the token of a line, a
//! *seat* that token in the line's workspace. Seats of one account share its turn and its limits. No HTTP here: an
//! [`Issuer`] exchanges tokens.

mod clock;
mod external;
mod file;
mod group;
mod id;
mod issuer;
mod lease;
mod notice;
mod pool;
mod seat;
mod settings;
mod shared;
mod source;
mod state;
mod turn;
mod want;

#[cfg(test)]
mod testing;

pub use external::Externals;
pub use id::{AccountId, BadAccountId};
pub use issuer::{BoxFuture, Issuer};
pub use lease::Lease;
pub use notice::Notice;
pub use pool::{AccountPool, AccountState, AccountStatus, FileText};
pub use settings::{Kind, PoolSettings, Strategy};
pub use state::{Cooling, Limit};
pub use want::{Feature, Unavailable, Want};

pub use aurora_chatgpt::login::{IssueError, Issued};
