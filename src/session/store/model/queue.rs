//! What owners do with queued turns.

use super::{
    operation::Operation,
    owners::{Owners, SPAN},
    records::named,
    reference::{Answer, PLACES},
};
use crate::session::{
    record::{SessionStatus, Stop, TurnDetails, TurnRecord, examples::turn},
    store::{Promise, Store},
};

impl Owners {
    pub(super) fn queue_up(
        &mut self,
        (by, store): (u64, &dyn Store),
        operation: &Operation,
        cut: Option<u64>,
    ) {
        let promise = Promise { runner: "any".into(), request: "{}".into() };
        match operation {
            Operation::Enqueue { name, is_promised } => {
                let name = named(*name);
                let turn = TurnRecord {
                    response: String::new(),
                    items: Vec::new(),
                    ..turn(0, SessionStatus::Queued)
                };
                let promised = Some(&promise).filter(|_| *is_promised);
                let mut queued = None;
                let done = self.run(store, cut, async {
                    queued = store.enqueue(&name, &turn, promised, PLACES, SPAN).await?;
                    Ok(queued.map_or(Answer::Yes(false), Answer::Queued))
                });
                self.queued.extend(queued.map(|number| (name.clone(), number)));
                self.judge(&done, |reference| reference.enqueue(by, &name, &turn, *is_promised));
            }
            Operation::Promise(index) | Operation::CallOff(index) => {
                if self.queued.is_empty() {
                    return;
                }
                let (name, number) = index.get(&self.queued).clone();
                if let Operation::Promise(_) = operation {
                    let done = self.run(store, cut, async {
                        store.promise(&name, number, &promise).await.map(Answer::Yes)
                    });
                    return self.judge(&done, |reference| reference.promise(by, &name, number));
                }
                let stopped = Some(Stop::Cancelled);
                let details = TurnDetails { stopped, ..TurnDetails::default() };
                let done = self.run(store, cut, async {
                    store.call_off(&name, number, &details).await.map(Answer::Yes)
                });
                self.judge(&done, |reference| reference.call_off(&name, number, &details));
            }
            Operation::Adopt => {
                let done = self.run(store, cut, async {
                    let adopted = store.adopt("any", SPAN).await?.into_iter();
                    let adopted = adopted.map(|turn| (turn.session, turn.number));
                    Ok(Answer::Adopted(adopted.collect()))
                });
                self.judge(&done, |reference| reference.adopt(by));
            }
            Operation::RenewPlaces(name) => {
                let name = named(*name);
                let done = self.run(store, cut, async {
                    store.renew_places(&name, SPAN).await.map(|()| Answer::Nothing)
                });
                self.judge(&done, |reference| reference.renew_places(by, &name));
            }
            _ => {}
        }
    }
}
