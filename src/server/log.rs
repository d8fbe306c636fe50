//! The Server's own log: standard output, one event a line.

use settings::LogFormat;
use tracing_subscriber::EnvFilter;

/// Begins to write. `RUST_LOG` says more, or less, as usual.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(false);
    let started = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        println!("The log cannot be started: {error}");
    }
}
