//! Calls whose client has given up because they took too long: their turns go on, and the client's next calls come back
//! sooner. Does not know how a client says so on its connection.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rmcp::{RoleServer, service::RequestContext};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Of how many clients, by name and version, it is kept how long they wait.
const CLIENTS: usize = 1000;

/// A client that gave up sooner is taken to wait this long, so that its calls come to something.
const SHORTEST: Duration = Duration::from_secs(1);

/// Whether the client of one call has given up. It comes with the call's request, and is set before the call is cancelled.
#[derive(Debug, Clone, Default)]
pub struct GivenUp {
    is_set: CancellationToken,
    /// The call has let go of its turn.
    over: CancellationToken,
    /// The same of an equal call before, whose turn this one is to find.
    earlier: Option<CancellationToken>,
}

impl GivenUp {
    /// For a call that is made again after its client has given up on an equal one.
    pub fn after(earlier: &Self) -> Self {
        Self { earlier: Some(earlier.over.clone()), ..Self::default() }
    }

    /// Whether the call is over.
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// The client's time for this call is over.
    pub fn set(&self) {
        self.is_set.cancel();
    }

    fn is_set(&self) -> bool {
        self.is_set.is_cancelled()
    }

    pub(super) async fn wait(&self) {
        self.is_set.cancelled().await;
    }
}

/// Whether a cancellation says that the client's time was over, not that a person wants the turn to end. Seen in SDKs:
/// `timed out after 5s` (Python, 2), `SdkError: Request timed out` (`TypeScript`, 2), `MCP error -32001: Request timed out`.
pub fn is_time_out(reason: Option<&str>) -> bool {
    let reason = reason.unwrap_or_default().to_lowercase();
    ["timed out", "timeout", "time-out", "time out"].iter().any(|word| reason.contains(word))
}

/// How long clients were seen to wait for an answer. It is forgotten with the process.
#[derive(Debug, Default)]
pub(in crate::mcp) struct SeenLimits(Mutex<BTreeMap<(String, String), Duration>>);

impl SeenLimits {
    fn note(&self, name: &str, version: &str, waited: Duration) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), version.to_owned());
        if seen.len() < CLIENTS || seen.contains_key(&key) {
            let waited = waited.max(SHORTEST);
            let limit = seen.entry(key).or_insert(waited);
            *limit = waited.min(*limit);
        }
    }

    pub(super) fn of(&self, name: &str, version: &str) -> Option<Duration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&(name.to_owned(), version.to_owned())).copied()
    }
}

/// A call until it is over or its client takes it back.
#[derive(Debug)]
pub(in crate::mcp) struct CallInHand {
    cancelled: CancellationToken,
    given_up: GivenUp,
    client: (String, String),
    since: Instant,
    seen: Arc<SeenLimits>,
}

impl CallInHand {
    pub(in crate::mcp) fn new(
        context: &RequestContext<RoleServer>,
        seen: &Arc<SeenLimits>,
    ) -> Self {
        let client = context.client_info().map(|info| (info.name, info.version));
        Self {
            cancelled: context.ct.clone(),
            given_up: context.extensions.get().cloned().unwrap_or_default(),
            client: client.unwrap_or_default(),
            since: Instant::now(),
            seen: Arc::clone(seen),
        }
    }

    /// Runs it. `None` if the client takes it back. Where the client has given up it runs on, and ends by itself: it lets
    /// go of its turn.
    pub(in crate::mcp) async fn run<T>(self, call: impl Future<Output = T>) -> Option<T> {
        let _over = self.given_up.over.clone().drop_guard();
        let call = async {
            if let Some(earlier) = &self.given_up.earlier {
                earlier.cancelled().await;
            }
            call.await
        };
        tokio::select! {
            done = call => Some(done),
            () = self.taken_back() => None,
        }
    }

    async fn taken_back(&self) {
        self.cancelled.cancelled().await;
        if self.given_up.is_set() {
            self.seen.note(&self.client.0, &self.client.1, self.since.elapsed());
            pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_is_told_from_a_person() {
        for reason in ["timed out after 5s", "SdkError: Request timed out", "Timeout"] {
            assert!(is_time_out(Some(reason)), "{reason}");
        }
        for reason in [None, Some(""), Some("User cancelled"), Some("AbortError: aborted")] {
            assert!(!is_time_out(reason), "{reason:?}");
        }
    }

    #[test]
    fn the_shortest_wait_counts_for_that_client_alone() {
        let seen = SeenLimits::default();
        for secs in [30, 10, 20] {
            seen.note("a", "1", Duration::from_secs(secs));
        }
        assert_eq!(seen.of("a", "1"), Some(Duration::from_secs(10)));
        assert_eq!((seen.of("a", "2"), seen.of("b", "1")), (None, None));
    }
}
