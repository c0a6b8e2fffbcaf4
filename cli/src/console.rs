//! The only place that prints. Results go to standard output, logs and errors to standard error.

use std::io::Write as _;

use tracing_subscriber::EnvFilter;

/// Logs to standard error; `CAIRN_LOG` filters (default `info`, of openraft only errors), `CAIRN_LOG_FORMAT=json` for machines.
pub(crate) fn init_logs() {
    let filter = EnvFilter::try_from_env("CAIRN_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,openraft=error"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::env::var("CAIRN_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().init();
    } else {
        builder.init();
    }
}

/// A line for the person at the terminal. Who stopped reading (`| head`) is no reason to fail.
pub(crate) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Why the program ends.
#[expect(clippy::print_stderr, reason = "the program's own output")]
pub(crate) fn error(error: &crate::Fatal) {
    eprintln!("cairn: {error}");
}
