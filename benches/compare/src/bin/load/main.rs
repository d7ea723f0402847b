//! The client side of the comparison: asks one address in one way for a while, checks every answer, and prints one line of JSON.
//!
//! `load mode=chat address=127.0.0.1:PORT connections=32 seconds=2`; the modes are below.
#![expect(
    clippy::disallowed_methods,
    reason = "a program that is ended from outside; its threads may sleep"
)]

mod chat;
mod connection;
mod streams;
mod tally;
mod transfer;

use std::io::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bench_compare::argument;

/// Longest that a run may take beyond the time that was asked for.
const SLACK: Duration = Duration::from_secs(30);

fn main() -> Result<(), Error> {
    let address: SocketAddr = argument("address");
    let mode: String = argument("mode");
    if mode == "rate" {
        return print(&chat::at_rate(address, argument("rate"), seconds()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let run = async {
            match mode.as_str() {
                "chat" => Ok(chat::in_turn(address, argument("connections"), seconds()).await),
                "streams" => Ok(streams::run(
                    address,
                    argument("streams"),
                    argument("count"),
                    argument("pace"),
                    seconds(),
                )
                .await),
                "hold" => streams::hold(address, argument("streams")).await,
                "upload" => transfer::upload(address, argument("bytes")).await,
                "download" => transfer::download(address, argument("bytes")).await,
                _ => Err(Error::other(
                    "mode is chat, rate, streams, hold, upload or download",
                )),
            }
        };
        let deadline = SLACK
            + if mode == "chat" || mode == "streams" {
                seconds()
            } else {
                SLACK
            };
        let tally = tokio::time::timeout(deadline, run)
            .await
            .map_err(Error::other)??;
        print(&tally)
    })
}

fn seconds() -> Duration {
    Duration::from_secs_f64(argument("seconds"))
}

fn print(tally: &tally::Tally) -> Result<(), Error> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{}", tally.to_json())
}
