//! Ratios against the npm package and a bare driver of the same app-server, in one run, on the same
//! Codex and the same fake model. Absolute numbers depend on the machine; ratios much less.
//!
//! `cargo bench --bench compare`

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, starts what it measures, and has nobody to report an error to"
)]

mod bare;
mod contenders;
mod measure;
mod store;

use contenders::World;

#[tokio::main]
async fn main() {
    // `cargo test --benches` would run this too, with an argument of its own.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let world = World::new().await;
    println!("Each row: this server | the other | ratio. Medians unless said otherwise.\n");
    measure::start(&world).await;
    measure::turn(&world).await;
    measure::memory_at_rest(&world).await;
    measure::tree_in_parallel(&world).await;
    measure::fifty_sessions(&world).await;
    store::scale().await;
}
