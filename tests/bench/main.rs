//! Measurements, printed as tables. Figures depend on the machine; the ratios within one run are what counts.

mod server;
mod wire;

use std::time::Duration;

#[tokio::main]
async fn main() {
    // Nobody else has installed one in this program.
    drop(rustls::crypto::ring::default_provider().install_default());
    match std::env::args().nth(1).as_deref() {
        // The Server calls from tasks of its workers; each way to this thread would be one more.
        Some("wire") => tokio::spawn(wire::run()).await.expect("it was measured"),
        Some("server") => server::run().await,
        _ => {
            eprintln!("usage: bench wire|server");
            std::process::exit(2);
        }
    }
}

/// One line of a table.
fn line(what: &str, figure: String, against: &str) {
    println!("{what:<58} {figure:>18}   {against}");
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
