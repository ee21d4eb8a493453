//! Serves the fake model on loopback until Ctrl-C, to try Codex or the server by hand.

#[tokio::main]
async fn main() {
    let model = testkit::Model::start().await;
    println!("{}", model.url());
    let mut shown = 0;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        for request in model.requests_after(shown) {
            shown += 1;
            println!("{}", request.body);
        }
    }
}
