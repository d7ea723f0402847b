//! Credentials of accounts: what a token says of itself, lines of token files, the forms of `Authorization`.
//!
//! Nothing is verified or looked up here, and no secret can be printed.

mod authorization;
mod claims;
mod line;

pub use authorization::{Authorization, Credential, Presented, TEAM_HEADERS};
pub use claims::{AccountKey, Claims};
pub use line::{Line, distinct, lines};
