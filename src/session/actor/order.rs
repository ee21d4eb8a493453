//! A turn to run, and who wants to know what comes of it.

use tokio::sync::oneshot;

use crate::session::{
    Reply, Request, SessionError,
    call::{Follower, Update},
    store::Ticket,
};

/// A turn to run. It is called off when its caller goes away without having handed it back.
#[derive(Debug)]
pub(in crate::session) struct Order {
    pub(super) request: Request,
    /// Whether the name was made up for this call.
    pub(super) automatic: bool,
    /// Its caller, unless gone, then whoever joined.
    pub(super) followers: Vec<Follower>,
    /// Those who had it interrupted.
    pub(super) interrupters: Vec<oneshot::Sender<Option<Reply>>>,
    /// Its place among the calls of all servers, once it had to wait.
    pub(super) ticket: Option<Ticket>,
}

impl Order {
    pub(in crate::session) fn new(request: Request, automatic: bool, caller: Follower) -> Self {
        Self { followers: vec![caller], ..Self::unfollowed(request, automatic) }
    }

    /// An order that nobody waits for.
    pub(super) fn unfollowed(request: Request, automatic: bool) -> Self {
        let (followers, interrupters) = (Vec::new(), Vec::new());
        Self { request, automatic, followers, interrupters, ticket: None }
    }

    /// Takes in somebody else who follows its turn, which has this number and runs.
    pub(super) fn join(&mut self, follower: Follower, number: u32) {
        follower.tell(Update::Begun(number));
        self.followers.push(follower);
    }

    /// Whether its caller took it back.
    pub(super) fn is_cancelled(&self) -> bool {
        self.followers.iter().any(Follower::has_cancelled)
    }

    /// Whether it was handed back: nobody may be waiting, and it goes on.
    pub(super) fn is_kept(&self) -> bool {
        self.followers.iter().all(Follower::is_kept)
    }

    /// Tells everybody who follows.
    pub(super) fn tell(&self, update: &Update) {
        for follower in &self.followers {
            follower.tell(update.clone());
        }
    }

    /// Tells everybody what came of it.
    pub(super) fn finish(self, outcome: Result<Reply, SessionError>) {
        let reply = outcome.as_ref().ok().cloned();
        for interrupter in self.interrupters {
            super::answer(interrupter, reply.clone());
        }
        let mut followers = self.followers.into_iter();
        match outcome {
            Ok(reply) => followers.for_each(|follower| follower.finish(Ok(reply.clone()))),
            Err(error) => {
                let reason = error.to_string();
                if let Some(caller) = followers.next() {
                    caller.finish(Err(error));
                }
                for follower in followers {
                    follower.finish(Err(SessionError::NotBegun { reason: reason.clone() }));
                }
            }
        }
    }
}
