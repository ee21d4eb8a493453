//! The signals that end us.

use std::io;

/// Waits for the first signal that asks us to end.
///
/// # Errors
/// If signals cannot be listened to.
#[cfg(unix)]
pub async fn signalled() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Waits for Ctrl-C.
///
/// # Errors
/// If it cannot be listened to.
#[cfg(not(unix))]
pub async fn signalled() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
