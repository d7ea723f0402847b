# The build menu. `just` alone lists it.

default:
    @just --list

# The gateway on the built-in mock
serve *ARGS:
    cargo run --release -- serve {{ARGS}}

# What the README calls: everything that a change must pass
test *ARGS:
    tests/run {{ARGS}}

# What the CI runs
ci:
    .ci/run

# Fast checks before a commit
pre-commit:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    git diff --check

# Rewrite the golden files of the config diagnostics and of the plugin interface
golden:
    UPDATE_GOLDEN=1 cargo test -p aurora-config --test golden
    UPDATE_GOLDEN=1 cargo test -p aurora-sdk --test header

# Rewrite the tables of docs/ that are made from tests
docs:
    UPDATE_DOCS=1 cargo test -p aurora --test main the_table_of_faults

# Build the libraries that tests load
plugins:
    tests/plugins/build

# What a loaded plugin costs against the same one linked in, as docs/performance.md has it
measure-plugins:
    benches/plugins/run

# A thousand swaps of a plugin under load (about a quarter of an hour)
swaps COUNT="1000":
    tests/plugins/build
    SWAPS={{COUNT}} cargo nextest run -p aurora --test main --run-ignored only --no-capture a_thousand_swaps

# Mixed traffic for so many minutes, with a reload every second and a swap every ten, and what is left of it
soak MINUTES="20":
    cargo build --release --locked
    tests/plugins/build
    AURORA_BINARY=target/release/aurora SOAK_MINUTES={{MINUTES}} cargo nextest run --locked -p aurora --test main --run-ignored only --no-capture minutes_of_everything

# The C example and a hundred swaps under valgrind
memcheck:
    tests/plugins/memcheck

# Every fuzz target for so many seconds, two at a time; `just fuzz 600 sse` runs one
fuzz SECONDS="60" *TARGETS:
    fuzz/run {{SECONDS}} {{TARGETS}}

# Idle memory and start-up time of the release binary, as docs/performance.md has them
measure:
    benches/idle.sh

# Aurora beside nginx, haproxy and a raw hyper proxy; a whole run (eight minutes) rewrites the table of docs/performance.md
bench *ARGS:
    benches/compare/run {{ARGS}}

# Instruction counts against the recorded ones; `just counts --update` records new ones
counts *ARGS:
    benches/counts/run {{ARGS}}

# How time and memory grow with routes, tokens, streams, plugins and bodies (about five minutes)
growth *ARGS:
    benches/growth/run {{ARGS}}
