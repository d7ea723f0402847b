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

# Rewrite the golden files of the config diagnostics
golden:
    UPDATE_GOLDEN=1 cargo test -p aurora-config --test golden

# Idle memory and start-up time of the release binary, as docs/performance.md has them
measure:
    benches/idle.sh
