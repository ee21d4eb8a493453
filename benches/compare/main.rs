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
mod http;
mod machines;
mod measure;
mod page;
mod store;

use contenders::World;

#[tokio::main]
async fn main() {
    // `cargo test --benches` would run this too, with an argument of its own.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    // `cargo bench --bench compare -- turn` measures only that.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |row: &str| wanted.is_empty() || wanted.iter().any(|word| word == row);
    let world = World::new().await;
    println!("Each row: this server | the other | ratio. Medians unless said otherwise.\n");
    if wants("start") {
        measure::start(&world).await;
    }
    if wants("window") {
        measure::window(&world).await;
    }
    if wants("windows") {
        measure::windows(&world).await;
    }
    if wants("turn") {
        measure::turn(&world).await;
    }
    if wants("http") {
        http::ping(&world).await;
        http::turn(&world).await;
    }
    if wants("memory") {
        measure::memory_at_rest(&world).await;
    }
    if wants("tree") {
        measure::tree_in_parallel(&world).await;
    }
    if wants("fifty") {
        measure::fifty_sessions(&world).await;
    }
    if wants("store") {
        store::scale().await;
    }
    if wants("page") {
        page::page(&world).await;
    }
    if wants("machines") {
        machines::turns(&world).await;
        machines::moves(&world).await;
        machines::take_over(&world).await;
        machines::reach(&world).await;
    }
}
