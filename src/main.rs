//! Aurora.
fn main(){}
