# The habits of this project. `just` lists them.

default:
    @just --list

# Format, lints, documentation: what needs no Codex
check:
    .ci/run check

# Licences, advisories and sources of all dependencies (needs cargo-deny)
deny:
    cargo deny check

# Every test, on the real Codex CLI
test:
    .ci/run test

# Those whose outcome can differ once more, with a server of its own for each client
apart:
    .ci/run apart

# Real clients (Claude Code, Codex, Gemini CLI, opencode, Inspector, SDKs, a fuzzer) and MCP's conformance suite; most of a gigabyte from npm
clients:
    .ci/run clients

# The page in a real Chromium; pictures are left in target/ui
ui:
    .ci/run ui

# MCP's conformance suite on what is released
conformance:
    .ci/conformance

# Tests of one behaviour, such as `just it continuity`
it behaviour:
    cargo test --test it {{behaviour}}

# 200 kills of server and Codex at random moments (CI does 12)
kills:
    KILLS=200 cargo test --test it kills

# Faults of all kinds on three machines with a PostgreSQL, and 200 sessions at once on four (`cargo test` does a little of both)
chaos seconds="600":
    SESSIONS=200 cargo test --test it many_sessions_at_once
    CHAOS_SECONDS={{seconds}} CHAOS_SESSIONS=50 cargo test --test it chaos -- --nocapture

# The databases against the reference for a long time (`cargo test` tries 60 and 20 sequences)
store-model cases="3000":
    MODEL_CASES={{cases}} cargo test --release --lib store::model

# What comes before anybody has shown who it is, for a long time (`cargo test` tries 300 requests)
fuzz cases="20000":
    FUZZ_CASES={{cases}} cargo test --test it fuzz

# The same story on every Codex of docs/codex-versions.md, and the table there (`cargo test` takes seven)
matrix:
    MATRIX=1 CODEX_VERSIONS=0.50.0,0.58.0,0.64.0,0.66.0,0.72.0,0.75.0,0.80.0,0.87.0,0.98.0,0.110.0,0.118.0,0.120.0,0.125.0,0.140.0,0.146.0,0.148.0,0.155.0,0.169.0,0.171.0 cargo test --test it versions -- --nocapture

# The conversation without an account
demo:
    cargo run --example demo

# Ratios against the npm package and a bare driver, in one run
bench:
    cargo bench --bench compare

# Write the generated parts of the README, and accept changed snapshots
docs:
    UPDATE_DOCS=1 INSTA_UPDATE=always cargo test

# A fake model to try Codex with by hand
model:
    cargo run -p testkit --example model

# All that CI asks
ci:
    .ci/run

# Assemble what would be released, for this machine alone, below target/package
package:
    cargo build --locked --release --package codex-mcp-server
    mkdir -p target/binaries/$(uname -m)-unknown-linux-musl
    cp target/release/codex-mcp-server target/binaries/$(uname -m)-unknown-linux-musl/
    node packaging/build.mjs target/binaries target/package
