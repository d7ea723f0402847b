//! One piece of Aurora, done a given number of times: for counting instructions and for timing.
//!
//! `counts CASE SIZE TIMES` prepares what the case needs, does it once to warm up, and then `TIMES` times inside of
//! [`measured`], the only function in which callgrind counts. It prints how long one time took. `benches/counts/run` and
//! `benches/growth/run` call it.

mod bodies;
mod cases;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What is done, ready to be done again and again.
type Work = Box<dyn FnMut()>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [case, size, times] = args.as_slice() else {
        return usage();
    };
    let (Ok(size), Ok(times)) = (size.parse(), times.parse()) else {
        return usage();
    };
    let Some(mut work) = cases::prepare(case, size) else {
        return usage();
    };
    work();
    let took = measured(times, &mut work);
    println!("nanoseconds {}", took.as_nanos() / u128::from(times.max(1)));
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!(
        "usage: counts CASE SIZE TIMES, where CASE is one of {}",
        cases::NAMES.join(", ")
    );
    ExitCode::from(2)
}

/// Never inlined: `--toggle-collect` finds it by its name.
#[inline(never)]
fn measured(times: u32, work: &mut Work) -> Duration {
    let began = Instant::now();
    for _ in 0..times {
        black_box(&mut *work)();
    }
    began.elapsed()
}
