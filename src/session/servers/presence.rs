//! Tells the servers of a database that this one is there and what runs on it, and keeps what they say of themselves.
//! Where one machine has the store by itself, this server is the only one it knows.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::{Servers, known::KnownServers};
use crate::session::{SeenServer, ServerRecord, ServerTurn, Sessions, Tenant, store::StoreConfig};

/// How often this server says that it is there.
const PAUSE: Duration = Duration::from_secs(3);

/// After what time without a word a server counts as silent. Its leases have run out by then, as a rule.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// How often Codex is inspected, which may start a process.
const INSPECT_INTERVAL: Duration = Duration::from_mins(1);

/// How long that may take: the others wait for a word meanwhile.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long saying goodbye may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The sessions this server serves, by tenant. They come as tenants do.
#[derive(Debug, Clone, Default)]
pub struct Served(Arc<Mutex<Vec<Tenanted>>>);

/// The sessions of a tenant, or of the operator.
type Tenanted = (Option<Tenant>, Sessions);

/// This server's word to the others.
#[derive(Debug)]
pub struct Presence {
    ending: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Served {
    /// The sessions of one tenant, or of the operator.
    pub fn one(tenant: Option<Tenant>, sessions: &Sessions) -> Self {
        let served = Self::default();
        served.add(tenant, sessions);
        served
    }

    pub fn add(&self, tenant: Option<Tenant>, sessions: &Sessions) {
        self.lock().push((tenant, sessions.clone()));
    }

    fn turns(&self) -> Vec<ServerTurn> {
        let of = |(tenant, sessions): &Tenanted| {
            let tenant = tenant.as_ref().map(Tenant::as_str).unwrap_or_default().to_owned();
            let turns = sessions.turns_here().into_iter();
            let turn =
                move |(session, number)| ServerTurn { tenant: tenant.clone(), session, number };
            turns.map(turn).collect::<Vec<_>>()
        };
        self.lock().iter().flat_map(of).collect()
    }

    fn first(&self) -> Option<Sessions> {
        self.lock().first().map(|(_, sessions)| sessions.clone())
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, Vec<Tenanted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// Begins to tell the others, and says so once `draining` begins. `record` is what stays as it is; `known` is told who is there, for its readers.
    /// `None` if there are no others and nothing reads it.
    pub fn start(
        store: Option<StoreConfig>,
        record: ServerRecord,
        served: Served,
        known: Option<KnownServers>,
        draining: CancellationToken,
    ) -> Option<Self> {
        let ending = CancellationToken::new();
        let shared = store.filter(|store| matches!(store, StoreConfig::Postgres(..)));
        if shared.is_none() && known.is_none() {
            return None;
        }
        let teller = Teller {
            servers: shared.map(Servers::new),
            record,
            served,
            known: known.unwrap_or_default(),
            draining,
            inspected: None,
        };
        let task = TaskTracker::new().spawn(teller.tell(ending.clone()));
        Some(Self { ending, task: AbortOnDropHandle::new(task) })
    }

    /// Says that this server has ended.
    pub async fn finish(self) {
        self.ending.cancel();
        if timeout(LEAVE_TIMEOUT, self.task).await.is_err() {
            tracing::warn!("the other servers could not be told of the end");
        }
    }
}

/// The task behind a [`Presence`].
struct Teller {
    /// `None` if nobody else is there to be told.
    servers: Option<Servers>,
    record: ServerRecord,
    served: Served,
    known: KnownServers,
    draining: CancellationToken,
    inspected: Option<Instant>,
}

impl Teller {
    async fn tell(mut self, ending: CancellationToken) {
        loop {
            self.record.draining = self.draining.is_cancelled();
            self.record.turns = self.served.turns();
            // To its end: one that is dropped could still come after the goodbye.
            self.announce().await;
            if ending.run_until_cancelled(self.inspect_codex()).await.is_none() {
                break;
            }
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = self.draining.cancelled(), if !self.record.draining => {}
                () = ending.cancelled() => break,
            }
        }
        if let Some(servers) = &self.servers
            && let Err(error) = servers.leave(&self.record.id).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot leave the others");
        }
    }

    async fn announce(&self) {
        let own = || SeenServer { server: self.record.clone(), ago: Duration::ZERO, silent: false };
        let Some(servers) = &self.servers else { return self.known.set(vec![own()]) };
        let said = async {
            servers.announce(&self.record, SILENT_AFTER).await?;
            servers.list().await
        };
        match timeout(SILENT_AFTER, said).await {
            Ok(Ok(all)) => self.known.set(all),
            // Of the others nothing is known.
            failed => {
                if let Ok(Err(error)) = failed {
                    tracing::debug!(error = &error as &dyn std::error::Error, "not announced");
                }
                self.known.set(vec![own()]);
            }
        }
    }

    /// Looks whether there is a Codex, from time to time.
    async fn inspect_codex(&mut self) {
        // Only others want to know.
        let Some(sessions) = self.served.first().filter(|_| self.servers.is_some()) else { return };
        if self.inspected.is_some_and(|at| at.elapsed() < INSPECT_INTERVAL) {
            return;
        }
        self.inspected = Some(Instant::now());
        match timeout(INSPECT_TIMEOUT, sessions.inspect_codex()).await {
            Ok(Ok(found)) => {
                self.record.codex = Some(found.version.to_string());
                self.record.problem = None;
            }
            Ok(Err(error)) => self.record.problem = Some(error.to_string()),
            Err(_) => self.record.problem = Some("codex does not say its version".to_owned()),
        }
    }
}
